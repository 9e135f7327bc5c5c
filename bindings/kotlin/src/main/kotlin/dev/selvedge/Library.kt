package dev.selvedge

import java.io.File

/** The native library: where it is found. */
internal object Library {
    /** A system property: the path of the library, where it is neither in the app's package nor in the jar. */
    private const val PROPERTY = "selvedge.library"

    fun load() {
        val path = System.getProperty(PROPERTY)
        when {
            path != null -> System.load(File(path).absolutePath)
            isAndroid() -> System.loadLibrary("selvedge_jni")
            else -> loadFromJar()
        }
    }

    private fun isAndroid() = System.getProperty("java.vendor")?.contains("Android") == true

    /** A jar carries the libraries of the desktops that it serves, and none of them can be loaded where it lies. */
    private fun loadFromJar() {
        val name = System.mapLibraryName("selvedge_jni")
        val resource = "/dev/selvedge/native/${platform()}/$name"
        val stream = Library::class.java.getResourceAsStream(resource) ?: return System.loadLibrary("selvedge_jni")
        val file = File.createTempFile("selvedge", name)
        try {
            stream.use { from -> file.outputStream().use { from.copyTo(it) } }
            System.load(file.path)
        } finally {
            // Where a loaded library can be deleted, it is; elsewhere when the process ends.
            if (!file.delete()) file.deleteOnExit()
        }
    }

    private fun platform(): String {
        val os = System.getProperty("os.name").lowercase()
        val name = if (os.startsWith("win")) "windows" else if (os.startsWith("mac")) "macos" else "linux"
        val arch = when (val arch = System.getProperty("os.arch")) {
            "amd64" -> "x86_64"
            "arm64" -> "aarch64"
            else -> arch
        }
        return "$name-$arch"
    }
}
