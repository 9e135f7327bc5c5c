package dev.selvedge

import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow

/** What happened to an alert. */
public enum class AlertEvent { RAISED, CLEARED }

/** How bad it is. */
public enum class Severity { WARNING, CRITICAL }

/** What to do about it. */
public enum class Action {
    /** What comes in is broken: look at sensors and preparation. */
    CHECK_PIPELINE,

    /** The world is another: make a new model. */
    RETRAIN,

    /** The model is worse than it was: go back to the one before. */
    ROLL_BACK,
}

/** What was right for an answer. */
public enum class Label {
    /** The value is the right class. */
    CLASS,

    /** The value is 1 if the answer was right, 0 if it was not. */
    CORRECT,
}

/** What feedback means for the model. */
public enum class LabelVerdict {
    /** No answer of this id is waiting for feedback. */
    UNKNOWN,

    /** The model is as right as it was. */
    STEADY,

    /** It may be less right. */
    SUSPECT,

    /** It is less right. */
    DRIFTED,
}

/** An alert, raised or cleared. */
public class Alert internal constructor(
    public val event: AlertEvent,
    public val severity: Severity,
    public val action: Action,
    /** The number of the window in which it began. */
    public val since: Long,
    /** The number of the window in which it was raised or cleared. */
    public val at: Long,
    /**
     * "shift", "missing_values", "out_of_range", "new_category", "dead_feature", "embedding_drift", "concept_drift",
     * "change" (of a stream), "broken_promise" (of "slo"); more may come.
     */
    public val kind: String,
    /** Which feature, stream or bound. */
    public val feature: String,
    /** The numbers, in a sentence. */
    public val evidence: String,
) {
    override fun toString(): String = "$event: $kind of $feature ($severity, $action): $evidence"
}

/** Is told alerts in the order of what happened, on the thread whose call brought them. */
public fun interface AlertListener {
    public fun alert(alert: Alert)
}

/** An engine that is watched: ask [engine] in the place of the one it was made with. */
public class Monitor private constructor(value: Long, private val bell: Bell) : AutoCloseable {
    private val handle = Handle(Handle.Kind.MONITOR, value)

    /** The watched engine, like any other; closed with this. Give each call an id of its own for feedback to come. */
    public val engine: Engine = openEngine()

    /** The watched engine once more, to be closed by the caller; it outlives the monitor, and goes on being watched. */
    public fun openEngine(): Engine = Engine(handle.use(Native::monitorEngine))

    /**
     * The alerts since the monitor was made, as they come, each to one collector and none twice; it ends when the monitor
     * is closed. At most 1,024 wait, beyond which the oldest is lost.
     */
    public val alerts: Flow<Alert> = flow {
        while (!handle.isClosed) {
            while (true) emit(nextAlert() ?: break)
            if (bell.rung.receiveCatching().isClosed) break
        }
    }

    /** The next of [alerts], or null when none is waiting. */
    @Synchronized
    public fun nextAlert(): Alert? {
        val taken = Taken()
        return if (handle.use { Native.monitorNextAlert(it, taken) } == 0) null else taken.alert
    }

    /** Says what was right for the answer of an id, and gives what that means. */
    public fun feedback(id: Long, label: Label, value: Int): LabelVerdict {
        val verdict = handle.use { Native.monitorFeedback(it, id, label.ordinal + 1, value) }
        return LabelVerdict.entries.getOrElse(verdict - 1) { LabelVerdict.UNKNOWN }
    }

    /** Judges windows that are full or too old, and writes to the telemetry folder; for a timer, or before a suspend. */
    public fun tick(): Unit = handle.use(Native::monitorTick)

    /** As [tick], and closes the window that is open. */
    public fun closeWindow(): Unit = handle.use(Native::monitorCloseWindow)

    /** The state of the model as a JSON object. */
    public fun reportJson(): String = handle.use(Native::monitorReport)

    /** The profile that rows are compared with. Throws [Code.NOT_FOUND] where none was given, and none learned yet. */
    public fun profile(): Profile = Profile(handle.use(Native::monitorProfile))

    /** Frees the monitor, and closes [engine]. */
    override fun close() {
        engine.close()
        handle.close()
        bell.rung.close()
    }

    public companion object {
        /**
         * Watches an engine. [config] is a JSON object, as `selvedge/monitor.h` says: `{"probe": {"kind": "columns",
         * "input": "x", "names": ["temp", "sky"]}, "window": 500}`. [profile] is what the model was made for; null: it
         * is learned, or there is none. Engine, telemetry and profile may be closed before the monitor.
         */
        @JvmStatic
        @JvmOverloads
        public fun of(
            engine: Engine, telemetry: Telemetry, config: String, profile: Profile? = null,
            listener: AlertListener? = null,
        ): Monitor {
            val bell = Bell(listener)
            val handle = engine.withHandle { e ->
                telemetry.withHandle { t ->
                    if (profile == null) {
                        Native.monitorNew(e, t, config, 0, bell)
                    } else {
                        profile.withHandle { Native.monitorNew(e, t, config, it, bell) }
                    }
                }
            }
            return Monitor(handle, bell)
        }
    }

    /** Held by the library, and so not holding the monitor: else that would never be unreachable. */
    private class Bell(private val listener: AlertListener?) : Callback() {
        val rung = Channel<Unit>(Channel.CONFLATED)

        override fun alert(
            event: Int, severity: Int, action: Int, since: Long, at: Long, kind: String, feature: String,
            evidence: String,
        ) {
            rung.trySend(Unit)
            guarded { listener?.alert(alertOf(event, severity, action, since, at, kind, feature, evidence)) }
        }
    }

    private class Taken : Callback() {
        var alert: Alert? = null

        override fun alert(
            event: Int, severity: Int, action: Int, since: Long, at: Long, kind: String, feature: String,
            evidence: String,
        ) {
            alert = alertOf(event, severity, action, since, at, kind, feature, evidence)
        }
    }
}

private fun alertOf(
    event: Int, severity: Int, action: Int, since: Long, at: Long, kind: String, feature: String, evidence: String,
) = Alert(
    if (event == 2) AlertEvent.CLEARED else AlertEvent.RAISED,
    if (severity == 1) Severity.WARNING else Severity.CRITICAL,
    Action.entries.getOrElse(action - 1) { Action.CHECK_PIPELINE },
    since, at, kind, feature, evidence,
)
