package dev.selvedge

import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking

/** A call that the compiler may not look into, to hold a native against. */
private open class Plain {
    open fun number(): Int = calls++

    private var calls = 0
}

private class Other : Plain() {
    override fun number(): Int = 7
}

private var sink = 0L

/** The best of some rounds, in nanoseconds a call: what disturbs only adds. */
private inline fun best(count: Int, call: () -> Unit): Double {
    var best = Double.MAX_VALUE
    repeat(25) {
        val from = System.nanoTime()
        repeat(count) { call() }
        best = minOf(best, (System.nanoTime() - from).toDouble() / count)
    }
    return best
}

private val missed = ArrayList<String>()

/** Where at most [bar] is promised. */
private fun ratio(name: String, value: Double, bar: Double) {
    println("RATIO %s %.3f <=%.0f".format(name, value, bar))
    if (value > bar) missed += name
}

/** What a call costs on this machine. [args]: the model, and one of text if there is one. */
internal fun main(args: Array<String>) {
    val engine = Engine.openBlocking(args[0])
    val weather = mapOf("weather" to Tensor.of(floatArrayOf(2.5f, 4.4f, 2.2f, 2.2f), 1, 4))
    val answer = engine.runBlocking(weather)
    check(kotlin.math.abs(answer["rain_tomorrow"].floats()[0] - 0.585324f) < 1e-5f) { "another answer" }
    calls(answer)
    tokens()
    runs(engine, weather)
    args.getOrNull(1)?.let(::text)
    answer.close()
    engine.close()
    if (missed.isNotEmpty()) throw IllegalStateException("above the bar: ${missed.joinToString()}")
}

private fun calls(answer: Answer) {
    val plains = arrayOf(Plain(), Other(), Plain())
    var at = 0
    val plain = best(500_000) { sink += plains[at++ % 3].number() }
    val native = best(500_000) { sink += Native.abiVersion() }
    val handle = handleOf(answer)
    val guarded = best(100_000) { sink += handle.use(Native::answerOutputCount) }
    println("plain call %.1f ns, native call %.1f ns, one that looks a handle up %.1f ns".format(plain, native, guarded))
    ratio("kotlin_call_over_plain_ns", native - plain, 60.0)
    ratio("kotlin_guarded_call_ns", guarded - plain, 60.0)
}

/** An engine of so many words that cost next to nothing, of the library of the benchmark. */
private external fun fakeEngine(words: Int): Long

/** The nanoseconds in which C pulls all of its answer. */
private external fun pullInC(engine: Long): Long

private fun tokens() {
    val words = 20_000
    val raw = fakeEngine(words)
    val engine = Engine(raw)
    val request = Generate("go").apply { maxTokens = Generate.NO_LIMIT }
    var texts = 0
    val pulled = best(1) {
        texts = 0
        engine.start(request).use { run -> for (event in run) if (event is Event.Text) texts += event.text.length }
    } / words
    check(texts >= 4 * words) { "expected all words, got $texts letters" }
    val inC = (1..25).minOf { pullInC(raw) }.toDouble() / words
    val flowed = best(1) { runBlocking { engine.generate(request).collect { sink++ } } } / words
    println("a token: %.0f ns in C, %.0f ns pulled, %.0f ns through a flow".format(inC, pulled, flowed))
    ratio("kotlin_token_over_c_ns", pulled - inC, 500.0)
    engine.close()
}

private fun handleOf(answer: Answer): Handle = Answer::class.java.getDeclaredField("handle").let {
    it.isAccessible = true
    it.get(answer) as Handle
}

/** A small model whole, and how much of it is the engine's own work. */
private fun runs(engine: Engine, weather: Map<String, Tensor>) {
    var compute = 0L
    val count = 3000
    repeat(count) { engine.runBlocking(weather).close() }
    val whole = best(count) { engine.runBlocking(weather).close() }
    repeat(count) { engine.runBlocking(weather).use { compute += it.usage.computeNanos } }
    println("rain.onnx: %.0f ns a run, of which %.0f ns are computing".format(whole, compute.toDouble() / count))
}

private fun text(model: String) {
    Engine.openBlocking(model).use { engine ->
        val request = Generate("Once upon a time").apply { maxTokens = 100 }
        fun timed(run: () -> Unit): Double {
            val from = System.nanoTime()
            run()
            return (System.nanoTime() - from) / 1e6
        }
        engine.generateBlocking(request).close()
        val pulled = timed { engine.start(request).use { run -> run.forEach { _ -> } } }
        val flowed = timed { runBlocking { engine.generate(request).collect() } }
        println("100 tokens: pulled in %.0f ms, as a flow in %.0f ms".format(pulled, flowed))
    }
}
