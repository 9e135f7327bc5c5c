package dev.selvedge

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.isActive

/** Who waits for an answer. */
public enum class Priority(internal val number: Int) {
    /** Nobody waits. */
    BACKGROUND(-1),
    NORMAL(0),

    /** A person waits. */
    INTERACTIVE(1),
}

/** The terms of one call. */
public class Call @JvmOverloads constructor(
    /** Ends the call. */
    public var cancel: Cancel? = null,
    /** From now; 0: none. */
    public var timeoutMillis: Long = 0,
    /** The caller's own number: it comes back in [Answer.id], and feedback names it. */
    public var id: Long = 0,
    public var priority: Priority = Priority.NORMAL,
) {
    internal fun with(cancel: Cancel) = Call(cancel, timeoutMillis, id, priority)

    internal inline fun <R> use(block: (cancel: Long, timeoutMillis: Long, id: Long, priority: Int) -> R): R {
        val cancel = cancel
        val value = cancel?.enter() ?: 0
        try {
            return block(value, timeoutMillis, id, priority.number)
        } finally {
            cancel?.exit()
        }
    }
}

/**
 * Makes a blocking call on a thread that may block. To cancel the coroutine sets the call's switch, and returns once the
 * call has: nothing goes on behind the caller's back.
 */
internal suspend fun <R> interruptible(parent: Cancel?, call: (Cancel) -> R): R =
    Cancel.childOf(parent).use { cancel ->
        coroutineScope {
            val work = async(Dispatchers.IO) {
                val result = orCancelled { call(cancel) }
                if (!isActive) (result as? AutoCloseable)?.close()
                result
            }
            try {
                work.await()
            } finally {
                if (!work.isCompleted || work.isCancelled) cancel.set()
            }
        }
    }

/** A call that its coroutine ended failed for that reason, and for no other. */
internal inline fun <R> CoroutineScope.orCancelled(call: () -> R): R = try {
    call()
} catch (e: SelvedgeException) {
    ensureActive()
    throw e
}
