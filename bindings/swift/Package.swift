// swift-tools-version:6.0
import PackageDescription

// The C library comes as an XCFramework, where SELVEDGE_XCFRAMEWORK says its path in this package (Apple's platforms); else it
// is the installed one, by pkg-config or by the flags of the build. Either brings the module CSelvedge.
let library: Target
if let xcframework = Context.environment["SELVEDGE_XCFRAMEWORK"] {
    library = .binaryTarget(name: "CSelvedge", path: xcframework)
} else {
    library = .systemLibrary(name: "SelvedgeLibrary", path: "Sources/SelvedgeLibrary", pkgConfig: "selvedge")
}

// What an app store asks of a library; other platforms have no use for it.
#if canImport(Darwin)
let resources: [Resource] = [.copy("PrivacyInfo.xcprivacy")]
let exclude: [String] = []
#else
let resources: [Resource] = []
let exclude = ["PrivacyInfo.xcprivacy"]
#endif

let package = Package(
    name: "Selvedge",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "Selvedge", targets: ["Selvedge"])],
    targets: [
        library,
        .target(
            name: "Selvedge", dependencies: [.target(name: library.name)], path: "Sources/Selvedge", exclude: exclude,
            resources: resources),
        .testTarget(name: "SelvedgeTests", dependencies: ["Selvedge"], path: "Tests/SelvedgeTests"),
    ],
    swiftLanguageModes: [.v6]
)
