package dev.selvedge

import java.lang.ref.PhantomReference
import java.lang.ref.ReferenceQueue
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicInteger
import java.util.concurrent.atomic.AtomicLong
import kotlin.concurrent.thread

/**
 * A handle of the library, freed once: by [close], or when nothing reaches it any more. What the library gives out lives as
 * long as the handle; so while a thread uses it, closing only says so, and the last user frees it.
 */
internal class Handle(kind: Kind, value: Long) : AutoCloseable {
    /** The numbers of [Native.free]. */
    internal enum class Kind { CANCEL, ENGINE, RUN, ANSWER, TELEMETRY, PROFILE, MONITOR, OUTBOX, BATCH, TABLE, BUFFER }

    private val cell = Cell(kind, value)
    private val watch = Reaper.watch(this, cell)
    private val isOpen = AtomicBoolean(true)

    /** Those that use it, and one more until it is closed. */
    private val users = AtomicInteger(1)

    inline fun <R> use(block: (Long) -> R): R {
        val value = enter()
        try {
            return block(value)
        } finally {
            exit()
        }
    }

    /** Until [exit], which also keeps this reached, the handle is not freed. */
    fun enter(): Long {
        while (isOpen.get()) {
            val count = users.get()
            if (count == 0) break
            if (users.compareAndSet(count, count + 1)) return cell.value.get()
        }
        throw SelvedgeException.closed(cell.kind.name.lowercase())
    }

    fun exit() {
        if (users.decrementAndGet() == 0) {
            watch.drop()
            cell.run()
        }
    }

    val isClosed: Boolean get() = !isOpen.get()

    override fun close() {
        if (isOpen.compareAndSet(true, false)) exit()
    }

    private class Cell(val kind: Kind, value: Long) : Runnable {
        val value = AtomicLong(value)

        override fun run() {
            val value = value.getAndSet(0)
            if (value != 0L) Native.free(kind.ordinal, value)
        }
    }
}

/** Runs an action once an object is unreachable. (`java.lang.ref.Cleaner` is not on every Android that is served.) */
internal object Reaper {
    private val queue = ReferenceQueue<Any>()
    private val watches: MutableSet<Watch> = ConcurrentHashMap.newKeySet()

    init {
        thread(name = "selvedge-reaper", isDaemon = true) {
            while (true) (queue.remove() as Watch).fire()
        }
    }

    /** [action] must not reach [owner]. */
    fun watch(owner: Any, action: Runnable): Watch = Watch(owner, action).also { watches.add(it) }

    internal class Watch(owner: Any, private val action: Runnable) : PhantomReference<Any>(owner, queue) {
        fun drop() {
            watches.remove(this)
            clear()
        }

        fun fire() {
            if (watches.remove(this)) action.run()
        }
    }
}
