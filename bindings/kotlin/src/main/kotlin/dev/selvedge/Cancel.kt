package dev.selvedge

import java.util.concurrent.ConcurrentHashMap

/**
 * A switch that ends the calls that carry it, from any thread; it stays set. Coroutines need none: to cancel one ends its
 * call.
 */
public class Cancel : AutoCloseable {
    private val handle = Handle(Handle.Kind.CANCEL, Native.cancelNew())
    private val children: MutableSet<Cancel> = ConcurrentHashMap.newKeySet()
    private var parent: Cancel? = null

    @Volatile
    private var wasSet = false

    /** Whether it was set. */
    public val isSet: Boolean get() = wasSet

    /** Sets the switch: calls that carry it end with [Code.CANCELLED], at the latest before their next step. */
    public fun set() {
        wasSet = true
        handle.use { Native.cancelSet(it) }
        children.forEach { it.setQuietly() }
    }

    /** Frees the switch; what carries it goes on, and can no longer be ended by it. */
    override fun close() {
        parent?.children?.remove(this)
        handle.close()
    }

    internal fun enter(): Long = handle.enter()

    internal fun exit() = handle.exit()

    /** Sets a switch that another thread may be closing. */
    internal fun setQuietly() {
        try {
            set()
        } catch (e: SelvedgeException) {
            if (e.code != Code.BAD_HANDLE) throw e
        }
    }

    internal companion object {
        /** A switch that [parent] sets, too. */
        fun childOf(parent: Cancel?): Cancel {
            val child = Cancel()
            if (parent != null) {
                child.parent = parent
                parent.children.add(child)
                if (parent.wasSet) child.set()
            }
            return child
        }
    }
}
