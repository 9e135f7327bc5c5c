# Sourced by the scripts beside it: brings the compiler to target/kotlin, compiles, and finds the native library.

kotlin=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$kotlin/../.." && pwd)
stage=$root/target/kotlin
jars=$stage/jars
features=tract,tract-transformers,rten,ort,llama,table,keyless,csv,npy,async,ndarray,schemars,ort-interop,experimental

say() { echo "kotlin: $*"; }
fail() { echo "kotlin: $*" >&2; exit 1; }

# Whether there is a Java to run and compile with, 17 or newer.
has_java() {
    command -v java >/dev/null && command -v javac >/dev/null && command -v jar >/dev/null || return 1
    [ "$(java -XshowSettings:properties -version 2>&1 | sed -n 's/ *java.specification.version = \([0-9]*\).*/\1/p')" -ge 17 ]
}

# bring PATTERN: the files of jars.lock whose path it matches, by Maven; each is what its SHA-256 says, or it is not there.
# All that Maven keeps lies under target/, too.
bring() {
    local sum path lacking=()
    while read -r sum path; do
        [ -f "$jars/$path" ] || lacking+=("$path")
    done < <(locked "$1")
    [ ${#lacking[@]} -gt 0 ] || return 0
    command -v mvn >/dev/null || { echo "kotlin: mvn is missing, which brings ${lacking[*]}" >&2; return 1; }
    project_of "${lacking[@]}" >"$stage/pom.xml"
    mvn --batch-mode --quiet -Dstyle.color=never --file "$stage/pom.xml" -Dmaven.repo.local="$stage/m2" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -Dmdep.useRepositoryLayout=true -DoutputDirectory="$stage/brought" || return 1
    while read -r sum path; do
        [ ! -f "$jars/$path" ] || continue
        if ! echo "$sum  $stage/brought/$path" | sha256sum --check --status; then
            echo "kotlin: $path: not what jars.lock says" >&2
            return 1
        fi
        mkdir -p "$jars/$(dirname "$path")"
        mv "$stage/brought/$path" "$jars/$path"
    done < <(locked "$1")
}

locked() {
    grep -E "^[0-9a-f]{64}  .*($1)" "$kotlin/jars.lock"
}

# project_of PATH...: a project of Maven's that depends on these.
project_of() {
    local path
    echo '<project><modelVersion>4.0.0</modelVersion><groupId>dev.selvedge</groupId><artifactId>tests</artifactId>'
    echo '<version>1</version><dependencies>'
    for path in "$@"; do
        local version=${path%/*} group
        local artifact=${version%/*}
        group=${artifact%/*}
        echo "<dependency><groupId>${group//\//.}</groupId><artifactId>${artifact##*/}</artifactId>"
        echo "<version>${version##*/}</version><type>${path##*.}</type>"
        echo '<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>'
    done
    echo '</dependencies></project>'
}

# Of what is brought, those whose path matches.
path_of() {
    find "$jars" \( -name '*.jar' -o -name '*.aar' \) -print | grep -E "$1" | tr '\n' ':'
}

compiler='org/jetbrains'
runtime='kotlin-stdlib-2|kotlinx-coroutines'

# kotlinc ARGUMENTS: for the JVM that the oldest Android served is like, unless $jvm says otherwise.
kotlinc() {
    java -Xmx1g -cp "$(path_of "$compiler")" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler \
        -no-stdlib -no-reflect -jvm-target "${jvm:-1.8}" "$@"
}

# Compiles the library's classes into $stage/classes: with the classes of Java 8 alone, for later ones are not on all
# Androids.
compile_classes() {
    rm -rf "$stage/classes"
    kotlinc -Xexplicit-api=strict -Xjdk-release=8 -Werror -module-name selvedge -classpath "$(path_of "$runtime")" \
        -d "$stage/classes" "$kotlin"/src/main/kotlin/dev/selvedge/*.kt || fail "the classes do not compile"
}

# The native library of the tests: of a tree that is installed, or what cargo builds for the test of its names, so that no
# feature set but that of all tests is ever compiled.
native_library() {
    if [ -n "${1:-}" ]; then
        local installed
        installed=$(ls "$1"/lib/libselvedge_jni.* 2>/dev/null | head -n 1)
        [ -n "$installed" ] || fail "$1/lib has no libselvedge_jni"
        echo "$installed"
        return
    fi
    local program
    program=$(cd "$root" && cargo test --workspace --features $features --test exports --no-run \
        --message-format=json 2>"$stage/build.log" | grep -oE '"[^"]*/libselvedge_jni\.(so|dylib)"' | tail -n 1 | tr -d '"')
    [ -n "$program" ] || { cat "$stage/build.log" >&2; fail "cargo did not build libselvedge_jni"; }
    echo "$program"
}

# The same, with an engine for the benchmark.
bench_library() {
    local built
    built=$(cd "$root" && cargo build --workspace --features $features --example fake \
        --message-format=json 2>"$stage/build.log" | grep -oE '"[^"]*/libfake\.(so|dylib)"' | tail -n 1 | tr -d '"')
    [ -n "$built" ] || { cat "$stage/build.log" >&2; fail "cargo did not build the library of the benchmark"; }
    echo "$built"
}

platform() {
    local os arch
    case $(uname) in Darwin) os=macos ;; *) os=linux ;; esac
    case $(uname -m) in arm64 | aarch64) arch=aarch64 ;; *) arch=x86_64 ;; esac
    echo "$os-$arch"
}
