// A registry for tests: that of the Distribution project, with its file storage alone.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"runtime/debug"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: registry CONFIGURATION | --version")
	}
	if os.Args[1] == "--version" {
		version()
		return
	}
	file, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	config, err := configuration.Parse(file)
	if err != nil {
		log.Fatal(err)
	}
	server, err := registry.NewRegistry(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	if err = server.ListenAndServe(); err != nil {
		log.Fatal(err)
	}
}

// The module that serves, and its version.
func version() {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/distribution/distribution/v3" {
			fmt.Println(module.Path, module.Version)
		}
	}
}
