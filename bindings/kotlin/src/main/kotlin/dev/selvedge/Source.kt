package dev.selvedge

import java.nio.ByteBuffer

/** Where a model is. */
public class Source private constructor(
    internal val path: String?,
    internal val file: Long,
    internal val offset: Long,
    internal val length: Long,
    internal val memory: ByteBuffer?,
) {
    public companion object {
        /** A file by its path. */
        @JvmStatic
        public fun path(path: String): Source = Source(path, -1, 0, 0, null)

        /**
         * An open file, or a part of one, such as an asset within an Android package: [length] 0 is to its end. The
         * descriptor is duplicated; the caller goes on owning his own.
         */
        @JvmStatic
        @JvmOverloads
        public fun file(descriptor: Int, offset: Long = 0, length: Long = 0): Source {
            if (descriptor < 0 || offset < 0 || length < 0) {
                throw SelvedgeException.invalid("file: expected no negative number: $descriptor, $offset, $length")
            }
            return Source(null, descriptor.toLong(), offset, length, null)
        }

        /** The bytes of a direct buffer, from its position to its limit, without a copy; they must not change. */
        @JvmStatic
        public fun memory(model: ByteBuffer): Source {
            if (!model.isDirect) throw SelvedgeException.invalid("model: expected a direct buffer (allocateDirect)")
            return Source(null, -1, 0, 0, model.whole())
        }
    }
}
