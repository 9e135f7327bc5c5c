package dev.selvedge

import java.io.File

/** `bindings/conformance/cases.json`, which every binding runs: see the README there. */
internal fun conformance() {
    val folder = File(Place.repo, "bindings/conformance")
    if (!folder.resolve("cases.json").exists()) throw Skip("no bindings/conformance/cases.json")
    val cases = Json.parseObject(folder.resolve("cases.json").readText())
    val rows = Json.parseObject(folder.resolve("rows.json").readText())
    var ran = 0
    val failed = ArrayList<String>()
    for (case in cases.list("cases").map(::members)) {
        val name = case.text("name")
        val lacking = case.list("needs").map { it as String }.filterNot(::isThere)
        if (lacking.isNotEmpty()) {
            println("         lacking ${lacking.joinToString()}: $name")
            continue
        }
        ran++
        Case(rows).use { runner ->
            case.list("steps").map(::members).forEachIndexed { i, step ->
                try {
                    runner.step(step)
                } catch (e: Exception) {
                    failed += "$name, step $i (${step["op"]}): $e"
                    if (e !is Failure && e !is SelvedgeException) e.printStackTrace(System.out)
                }
            }
        }
    }
    println("         $ran of ${cases.list("cases").size} cases ran")
    check(failed.isEmpty()) { failed.joinToString("\n         ", "\n         ") }
    check(ran > 0) { "expected cases" }
}

@Suppress("UNCHECKED_CAST")
internal fun members(value: Any?): Map<String, Any?> = value as Map<String, Any?>

private fun isThere(need: String) = when (need) {
    "onnxruntime" -> System.getenv("SELVEDGE_ONNXRUNTIME") != null
    "corpus" -> Place.corpus != null
    else -> need in Selvedge.features
}

/** Whether [got] is what [expected] says; why not, else null. */
internal fun mismatch(expected: Any?, got: Any?, tolerance: Double?, at: String = ""): String? {
    val wrong = "$at: expected $expected, got ${got.toString().take(200)}"
    return when {
        expected is Map<*, *> && expected.size == 1 && expected.keys.first().toString().startsWith("$") ->
            if (matches(expected.keys.first() as String, expected.values.first(), got, tolerance)) null else wrong
        expected is Map<*, *> -> if (got !is Map<*, *>) wrong else expected.entries.firstNotNullOfOrNull { (name, value) ->
            mismatch(value, got[name], tolerance, "$at.$name")
        }
        expected is List<*> -> if (got !is List<*> || got.size != expected.size) wrong else {
            expected.indices.firstNotNullOfOrNull { mismatch(expected[it], got[it], tolerance, "$at[$it]") }
        }
        expected is Long && got is Long -> if (expected == got) null else wrong
        expected is Number && got is Number -> {
            val (e, g) = expected.toDouble() to got.toDouble()
            if (e == g || kotlin.math.abs(e - g) <= (tolerance ?: (1e-9 * kotlin.math.abs(e)))) null else wrong
        }
        else -> if (expected == got) null else wrong
    }
}

private fun matches(rule: String, value: Any?, got: Any?, tolerance: Double?): Boolean = when (rule) {
    "\$any" -> got != null
    "\$min" -> got is Number && got.toDouble() >= (value as Number).toDouble()
    "\$start" -> got is String && got.startsWith(value as String)
    "\$has" -> got is String && (value as List<*>).all { it as String in got }
    "\$first" -> got is List<*> && mismatch(value, got.take((value as List<*>).size), tolerance) == null
    else -> throw Failure("a rule that is not known: $rule")
}

/** The tensor of a step's input. */
internal fun tensorOf(input: Map<String, Any?>): Tensor {
    val shape = input.list("shape").map { (it as Number).toLong() }.toLongArray()
    val fill = input["fill"]
    val data = if (fill != null) List(elements(shape).toInt()) { fill } else input.list("data")
    val dtype = DType.entries.first { it.name.equals(input.text("dtype"), ignoreCase = true) }
    if (dtype == DType.STRING) return Tensor.of(data.map { it as String }.toTypedArray(), *shape)
    val buffer = direct(data.size.toLong() * dtype.size)
    for (one in data) {
        val number = one as Number
        when (dtype) {
            DType.F32 -> buffer.putFloat(number.toFloat())
            DType.F64 -> buffer.putDouble(number.toDouble())
            DType.I64, DType.U64 -> buffer.putLong(number.toLong())
            DType.I32, DType.U32 -> buffer.putInt(number.toInt())
            DType.I16, DType.U16 -> buffer.putShort(number.toShort())
            DType.I8, DType.U8, DType.BOOL -> buffer.put(number.toByte())
            else -> throw Failure("a dtype that the cases do not have: $dtype")
        }
    }
    buffer.flip()
    return Tensor.of(dtype, buffer, *shape)
}

/** A tensor as the cases write it: a bool is 1 or 0. */
internal fun describe(name: String, tensor: Tensor): Map<String, Any?> = mapOf(
    "name" to name,
    "dtype" to tensor.dtype.name.lowercase(),
    "shape" to tensor.shape.toList(),
    "data" to values(tensor),
)

private fun values(tensor: Tensor): List<Any?> = when (tensor.dtype) {
    DType.F32 -> tensor.floats().map { it.toDouble() }
    DType.F64 -> tensor.doubles().toList()
    DType.I64, DType.U64 -> tensor.longs().toList()
    DType.I32 -> tensor.ints().map { it.toLong() }
    DType.U32 -> tensor.ints().map { it.toUInt().toLong() }
    DType.I16 -> tensor.shorts().map { it.toLong() }
    DType.U16 -> tensor.shorts().map { it.toUShort().toLong() }
    DType.I8 -> tensor.bytes().map { it.toLong() }
    DType.U8, DType.BOOL -> tensor.bytes().map { it.toUByte().toLong() }
    DType.STRING -> tensor.strings()
    else -> throw Failure("a dtype that the cases do not have: ${tensor.dtype}")
}
