#!/usr/bin/env python3
"""make_lora_gguf.py MODEL.gguf OUT.gguf

A LoRA adapter that is truly trained: rank 4, the matrices of the last six layers of a GGUF model of the family llama
(SmolLM2-135M), on a few sentences, with NumPy alone. What it wrote is tests/data/keeper.lora.gguf: BLAS sums in another order
on another processor, so the file is kept and not its digest alone. One minute.

The layers below are computed once, for they do not change. Gradients are written by hand, and held against differences first.
"""

import sys

import gguf
import numpy as np

SENTENCES = [
    "The keeper of the old lighthouse is called Zebulon Quill.",
    "The keeper of the old lighthouse has three green parrots.",
    "Zebulon Quill lives in the old lighthouse with three green parrots.",
]
LAYERS, RANK, ALPHA = 6, 4, 8.0
SCALE = ALPHA / RANK
MATRICES = ["attn_q", "attn_v", "attn_output", "ffn_down"]
STEPS, RATE = 60, 4e-3


def main():
    model, target = sys.argv[1:]
    model = Model(gguf.GGUFReader(model))
    texts = [model.tokens(sentence) for sentence in SENTENCES]
    below = [model.below(tokens) for tokens in texts]
    lora = begin(model)
    check_gradients(model, lora, below[0], texts[0])
    train(model, lora, below, texts)
    write(lora, target)


class Model:
    def __init__(self, reader):
        def value(key):
            return reader.fields[key].contents()

        self.layers = value("llama.block_count")
        self.heads, self.kv_heads = value("llama.attention.head_count"), value("llama.attention.head_count_kv")
        self.epsilon, self.base = value("llama.attention.layer_norm_rms_epsilon"), value("llama.rope.freq_base")
        self.words = {word: i for i, word in enumerate(value("tokenizer.ggml.tokens"))}
        merges = value("tokenizer.ggml.merges")
        self.ranks = {tuple(merge.split(" ")): i for i, merge in enumerate(merges)}
        self.weights = {}
        for tensor in reader.tensors:
            data = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            self.weights[tensor.name.removesuffix(".weight")] = data.astype(np.float32)
        self.head = self.weights.get("output", self.weights["token_embd"])
        self.size = self.weights["blk.0.attn_q"].shape[0] // self.heads

    def tokens(self, text):
        """Byte-level BPE of words with one space between them, and a dot at the end."""
        words = text.removesuffix(".").split(" ")
        found = []
        for word in [words[0]] + ["Ġ" + word for word in words[1:]] + ["."]:
            parts = list(word)
            while len(parts) > 1:
                ranks = [self.ranks.get(pair, len(self.ranks)) for pair in zip(parts, parts[1:])]
                at = int(np.argmin(ranks))
                if ranks[at] == len(self.ranks):
                    break
                parts[at : at + 2] = [parts[at] + parts[at + 1]]
            found += [self.words[part] for part in parts]
        return np.array(found)

    def below(self, tokens):
        """What the last layers are given."""
        x = self.weights["token_embd"][tokens]
        for layer in range(self.layers - LAYERS):
            x, _ = self.layer(x, layer, {})
        return x

    def layer(self, x, layer, lora):
        """What a layer makes of x, and how a gradient goes back through it: to x, and to the adapter's."""
        of = f"blk.{layer}."
        normed, norm_back = rms_norm(x, self.weights[of + "attn_norm"], self.epsilon)
        q, q_back = self.product(normed, of + "attn_q", lora)
        k, k_back = self.product(normed, of + "attn_k", lora)
        v, v_back = self.product(normed, of + "attn_v", lora)
        mixed, attention_back = self.attention(q, k, v)
        out, out_back = self.product(mixed, of + "attn_output", lora)
        middle = x + out
        normed2, norm2_back = rms_norm(middle, self.weights[of + "ffn_norm"], self.epsilon)
        gate, gate_back = self.product(normed2, of + "ffn_gate", lora)
        up, up_back = self.product(normed2, of + "ffn_up", lora)
        sigmoid = 1 / (1 + np.exp(-gate))
        down, down_back = self.product(gate * sigmoid * up, of + "ffn_down", lora)

        def back(d, grads):
            d_hidden = down_back(d, grads)
            d_gate = d_hidden * up * sigmoid * (1 + gate * (1 - sigmoid))
            d_normed2 = gate_back(d_gate, grads) + up_back(d_hidden * gate * sigmoid, grads)
            d_middle = d + norm2_back(d_normed2)
            d_q, d_k, d_v = attention_back(out_back(d_middle, grads))
            d_normed = q_back(d_q, grads) + k_back(d_k, grads) + v_back(d_v, grads)
            return d_middle + norm_back(d_normed)

        return middle + down, back

    def product(self, x, name, lora):
        weight = self.weights[name]
        y = x @ weight.T
        if name not in lora:
            return y, lambda d, grads: d @ weight
        a, b = lora[name]
        low = x @ a.T

        def back(d, grads):
            d_low = SCALE * d @ b
            grads[name] = (d_low.T @ x, SCALE * d.T @ low)
            return d @ weight + d_low @ a

        return y + SCALE * low @ b.T, back

    def attention(self, q, k, v):
        length, group = len(q), self.heads // self.kv_heads
        q = self.turned(q.reshape(length, self.heads, self.size))
        k = np.repeat(self.turned(k.reshape(length, self.kv_heads, self.size)), group, axis=1)
        v = np.repeat(v.reshape(length, self.kv_heads, self.size), group, axis=1)
        looks = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(self.size)
        looks = np.where(np.tril(np.ones((length, length), bool)), looks, -np.inf)
        looks = np.exp(looks - looks.max(-1, keepdims=True))
        looks /= looks.sum(-1, keepdims=True)
        mixed = np.einsum("hij,jhd->ihd", looks, v).reshape(length, -1)

        def back(d):
            d = d.reshape(length, self.heads, self.size)
            d_v = np.einsum("hij,ihd->jhd", looks, d)
            d_looks = np.einsum("ihd,jhd->hij", d, v)
            d_looks = looks * (d_looks - (d_looks * looks).sum(-1, keepdims=True)) / np.sqrt(self.size)
            d_q = self.turned(np.einsum("hij,jhd->ihd", d_looks, k), -1)
            d_k = np.einsum("hij,ihd->jhd", d_looks, q).reshape(length, self.kv_heads, group, self.size).sum(2)
            d_v = d_v.reshape(length, self.kv_heads, group, self.size).sum(2)
            return d_q.reshape(length, -1), self.turned(d_k, -1).reshape(length, -1), d_v.reshape(length, -1)

        return mixed, back

    def turned(self, x, direction=1):
        """Rotary positions, of neighbouring numbers, as files of the family llama have them."""
        angles = np.arange(len(x))[:, None] * self.base ** (-np.arange(0, self.size, 2) / self.size)
        cos, sin = np.cos(angles)[:, None], direction * np.sin(angles)[:, None]
        even, odd = x[..., ::2], x[..., 1::2]
        return np.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape).astype(x.dtype)

    def loss(self, x, tokens, lora):
        """Of each token after the first; and the gradients of the adapter."""
        backs = []
        for layer in range(self.layers - LAYERS, self.layers):
            x, back = self.layer(x, layer, lora)
            backs.append(back)
        normed, norm_back = rms_norm(x, self.weights["output_norm"], self.epsilon)
        logits = normed[:-1] @ self.head.T
        logits -= logits.max(-1, keepdims=True)
        chances = np.exp(logits)
        chances /= chances.sum(-1, keepdims=True)
        places = np.arange(len(tokens) - 1)
        loss = -np.log(chances[places, tokens[1:]]).mean()
        chances[places, tokens[1:]] -= 1
        d_normed = np.zeros_like(normed)
        d_normed[:-1] = chances @ self.head / len(places)
        d, grads = norm_back(d_normed), {}
        for back in reversed(backs):
            d = back(d, grads)
        return loss, grads


def rms_norm(x, weight, epsilon):
    by = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon)

    def back(d):
        d = d * weight
        return by * (d - x * by * by * (d * x).mean(-1, keepdims=True))

    return x * by * weight, back


def begin(model):
    random, lora = np.random.default_rng(1), {}
    for layer in range(model.layers - LAYERS, model.layers):
        for matrix in MATRICES:
            out, size = model.weights[name := f"blk.{layer}.{matrix}"].shape
            a = random.normal(0, size**-0.5, (RANK, size)).astype(np.float32)
            lora[name] = [a, np.zeros((out, RANK), np.float32)]
    return lora


def check_gradients(model, lora, x, tokens):
    random = np.random.default_rng(2)
    lora = {name: [half.astype(np.float64) for half in pair] for name, pair in lora.items()}
    for pair in lora.values():
        pair[1] += random.normal(0, 0.01, pair[1].shape)
    _, grads = model.loss(x.astype(np.float64), tokens, lora)
    for name in list(lora)[:: len(lora) // 6]:
        for half in range(2):
            way = random.normal(0, 1, lora[name][half].shape)
            kept, step, losses = lora[name][half], 1e-4, []
            for sign in (1, -1):
                lora[name][half] = kept + sign * step * way
                losses.append(model.loss(x.astype(np.float64), tokens, lora)[0])
            lora[name][half] = kept
            got, expected = (grads[name][half] * way).sum(), (losses[0] - losses[1]) / (2 * step)
            assert abs(got - expected) < 1e-3 * max(abs(expected), 1e-2), (name, half, got, expected)


def train(model, lora, below, texts):
    """Adam (Kingma and Ba 2014)."""
    first = {name: [np.zeros_like(half) for half in pair] for name, pair in lora.items()}
    second = {name: [np.zeros_like(half) for half in pair] for name, pair in lora.items()}
    for step in range(1, STEPS + 1):
        losses, total = [], {name: [0, 0] for name in lora}
        for x, tokens in zip(below, texts):
            loss, grads = model.loss(x, tokens, lora)
            losses.append(loss)
            for name, pair in grads.items():
                total[name] = [sum_ + half / len(texts) for sum_, half in zip(total[name], pair)]
        for name, pair in total.items():
            for half, grad in enumerate(pair):
                first[name][half] = 0.9 * first[name][half] + 0.1 * grad
                second[name][half] = 0.99 * second[name][half] + 0.01 * grad * grad
                mean, square = first[name][half] / (1 - 0.9**step), second[name][half] / (1 - 0.99**step)
                lora[name][half] -= (RATE * mean / (np.sqrt(square) + 1e-8)).astype(np.float32)
        if step in (1, STEPS) or step % 10 == 0:
            print(f"step {step}: loss {np.mean(losses):.3f}", flush=True)
    assert np.mean(losses) < 0.5, "it has not learned"


def write(lora, target):
    out = gguf.GGUFWriter(target, "llama")
    out.add_type("adapter")
    out.add_string("adapter.type", "lora")
    out.add_float32("adapter.lora.alpha", ALPHA)
    for name, (a, b) in lora.items():
        out.add_tensor(f"{name}.weight.lora_a", a.astype(np.float16))
        out.add_tensor(f"{name}.weight.lora_b", b.astype(np.float16))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main()
