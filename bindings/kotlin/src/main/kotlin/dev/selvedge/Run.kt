package dev.selvedge

import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicReference
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.channelFlow
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

/** A request in flight, pulled step by step on the calling thread; closed before it is done, it is cancelled. */
public class Run private constructor(value: Long, private val cancel: Cancel) : Iterator<Event>, AutoCloseable {
    private val handle = Handle(Handle.Kind.RUN, value)
    private val isStepped = AtomicBoolean()

    /** Where a step puts the numbers of its event. */
    private val numbers = LongArray(HEAD + 2 * MAX_TOKENS)

    /** Where it puts numbers that do not fit there, and texts that few events have. */
    private val more = arrayOfNulls<Any?>(4)

    @Volatile
    private var isDone = false

    /** Whether more events come. */
    override fun hasNext(): Boolean = !isDone

    /**
     * One bounded unit of work, and what it brought; after [Event.Done] none comes. While another thread is in it:
     * [Code.BUSY].
     */
    override fun next(): Event {
        if (isDone) throw NoSuchElementException("the run is done")
        if (!isStepped.compareAndSet(false, true)) {
            throw SelvedgeException(Code.BUSY, "the run is being stepped by another thread")
        }
        try {
            val text = handle.use { Native.runNext(it, numbers, more) }
            return event(take(MANY) as LongArray? ?: numbers, text)
        } finally {
            isStepped.set(false)
        }
    }

    private fun event(numbers: LongArray, text: String?): Event = when (numbers[KIND].toInt()) {
        WORKING -> Event.Working(numbers[DONE], numbers[TOTAL])
        TEXT -> Event.Text(text ?: "", tokens(numbers))
        REASONING -> Event.Reasoning(text ?: "", tokens(numbers))
        CALL_PIECE -> Event.CallPiece(numbers[INDEX].toInt(), said(NAME), text ?: "", tokens(numbers))
        TOOL_CALL -> ToolCall(said(ID), said(NAME), text ?: "")
        MALFORMED_CALL -> MalformedCall(numbers[INDEX].toInt(), text ?: "", said(REASON))
        FINISHED -> {
            isDone = true
            Event.Done(Finish.of(numbers[FINISH].toInt()), text, numbers[INPUT], numbers[CACHED], numbers[OUTPUT])
        }
        else -> throw SelvedgeException(Code.UNSUPPORTED, "event ${numbers[KIND]} is younger than this class")
    }

    /** What the step put there, once. */
    private fun take(at: Int): Any? = more[at].also { more[at] = null }

    private fun said(at: Int): String = take(at) as String? ?: ""

    private fun tokens(numbers: LongArray): List<Token> = when (val count = numbers[COUNT].toInt()) {
        0 -> emptyList()
        1 -> listOf(token(numbers, HEAD))
        else -> List(count) { token(numbers, HEAD + 2 * it) }
    }

    private fun token(numbers: LongArray, at: Int) =
        Token(numbers[at].toInt(), Float.fromBits(numbers[at + 1].toInt()))

    /** The whole answer of a run that is done; it outlives the run. */
    public fun answer(): Answer = Answer(handle.use { Native.runAnswer(it) })

    /** Ends the run at any time: a call of [next] under way ends with [Code.CANCELLED]. */
    override fun close() {
        isDone = true
        cancel.setQuietly()
        cancel.close()
        handle.close()
    }

    internal companion object {
        private const val WORKING = 1
        private const val TEXT = 2
        private const val FINISHED = 3
        private const val REASONING = 4
        private const val CALL_PIECE = 5
        private const val TOOL_CALL = 6
        private const val MALFORMED_CALL = 7

        private const val KIND = 0
        private const val FINISH = 1
        private const val DONE = 2
        private const val TOTAL = 3
        private const val INPUT = 4
        private const val CACHED = 5
        private const val OUTPUT = 6
        private const val INDEX = 7
        private const val COUNT = 8

        private const val MANY = 0
        private const val NAME = 1
        private const val ID = 2
        private const val REASON = 3

        /** Numbers before those of the tokens, and tokens that fit behind them: `run.rs` has the same. */
        private const val HEAD = 9
        private const val MAX_TOKENS = 16

        /** A run with a switch of its own, by which it is closed in the middle of a step. */
        inline fun of(call: Call, start: (Call) -> Long): Run {
            val cancel = Cancel.childOf(call.cancel)
            try {
                return Run(start(call.with(cancel)), cancel)
            } catch (e: Throwable) {
                cancel.close()
                throw e
            }
        }

        /**
         * The events of a run as a cold flow. When its collector is cancelled the run is closed, which ends the step under
         * way, and the collector goes on once that has ended.
         */
        fun events(start: () -> Run): Flow<Event> = channelFlow {
            val live = AtomicReference<Run>()
            val work = launch(Dispatchers.IO) {
                orCancelled {
                    start().use { run ->
                        live.set(run)
                        // Whoever cancelled before this did not see the run.
                        ensureActive()
                        for (event in run) send(event)
                    }
                }
            }
            try {
                work.join()
            } finally {
                live.get()?.close()
                withContext(NonCancellable) { work.join() }
            }
        }
    }
}
