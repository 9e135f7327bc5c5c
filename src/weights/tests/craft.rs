//! Generated GGUF files, good and bad.
//!
//! It imports nothing, so that the tests outside the library use it, too.

/// Writes GGUF files, as wrong as they are asked to be.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) version: u32,
    pub(crate) alignment: u64,
    keys: Vec<(String, Vec<u8>)>,
    tensors: Vec<Tensor>,
}

#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: Vec<u8>,
    pub(crate) dims: Vec<u64>,
    pub(crate) kind: u32,
    pub(crate) offset: Option<u64>,
    /// What its bytes are filled with, over and over.
    pub(crate) fill: Vec<u8>,
    pub(crate) bytes: usize,
}

impl File {
    pub(crate) fn new() -> Self {
        Self { version: 3, alignment: 32, keys: Vec::new(), tensors: Vec::new() }
    }

    /// The smallest header that a language model could have: 2 layers, 300 tokens, one tensor.
    pub(crate) fn model() -> Self {
        let mut tokens: Vec<Vec<u8>> = (0..=255u8).map(|b| format!("<0x{b:02X}>").into_bytes()).collect();
        tokens.extend((0..44).map(|i| format!("token{i}").into_bytes()));
        let types: Vec<i32> = (0..300).map(|i| if i < 256 { 6 } else { 1 }).collect();
        File::new()
            .text("general.architecture", "llama")
            .u32("llama.block_count", 2)
            .u32("llama.context_length", 128)
            .u32("llama.embedding_length", 64)
            .u32("llama.feed_forward_length", 96)
            .u32("llama.attention.head_count", 4)
            .u32("llama.attention.head_count_kv", 2)
            .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
            .text("tokenizer.ggml.model", "llama")
            .array("tokenizer.ggml.tokens", 8, 300, tokens.iter().flat_map(|t| string(t)).collect())
            .array("tokenizer.ggml.scores", 6, 300, vec![0; 1200])
            .array("tokenizer.ggml.token_type", 5, 300, types.iter().flat_map(|t| t.to_le_bytes()).collect())
            .u32("tokenizer.ggml.bos_token_id", 256)
            .u32("tokenizer.ggml.eos_token_id", 257)
            .tensor("token_embd.weight", &[64, 300], 0, 64 * 300 * 4)
    }

    /// The same with all of its weights, which mean nothing: `weight(i)` is the i-th of each tensor.
    pub(crate) fn complete(weight: impl Fn(usize) -> f32) -> Self {
        let whole: [(&str, &[u64]); 2] = [("token_embd.weight", &[64, 300]), ("output_norm.weight", &[64])];
        let layer: [(&str, &[u64]); 9] = [
            ("attn_norm.weight", &[64]),
            ("attn_q.weight", &[64, 64]),
            ("attn_k.weight", &[64, 32]),
            ("attn_v.weight", &[64, 32]),
            ("attn_output.weight", &[64, 64]),
            ("ffn_norm.weight", &[64]),
            ("ffn_gate.weight", &[64, 96]),
            ("ffn_up.weight", &[64, 96]),
            ("ffn_down.weight", &[96, 64]),
        ];
        Self::model().no_tensors().weights(&whole, &layer, 2, weight)
    }

    /// An encoder of one layer with all of its weights.
    pub(crate) fn encoder(weight: impl Fn(usize) -> f32) -> Self {
        let whole: [(&str, &[u64]); 5] = [
            ("token_embd.weight", &[64, 300]),
            ("token_types.weight", &[64, 2]),
            ("position_embd.weight", &[64, 128]),
            ("token_embd_norm.weight", &[64]),
            ("token_embd_norm.bias", &[64]),
        ];
        let layer: [(&str, &[u64]); 16] = [
            ("attn_q.weight", &[64, 64]),
            ("attn_q.bias", &[64]),
            ("attn_k.weight", &[64, 64]),
            ("attn_k.bias", &[64]),
            ("attn_v.weight", &[64, 64]),
            ("attn_v.bias", &[64]),
            ("attn_output.weight", &[64, 64]),
            ("attn_output.bias", &[64]),
            ("attn_output_norm.weight", &[64]),
            ("attn_output_norm.bias", &[64]),
            ("ffn_up.weight", &[64, 96]),
            ("ffn_up.bias", &[96]),
            ("ffn_down.weight", &[96, 64]),
            ("ffn_down.bias", &[64]),
            ("layer_output_norm.weight", &[64]),
            ("layer_output_norm.bias", &[64]),
        ];
        let mut file = Self::model().no_tensors().weights(&whole, &layer, 1, weight);
        file.keys.retain(|(key, _)| !key.starts_with("llama."));
        let tokens: Vec<u8> = (0..300).flat_map(|i| string(format!("token{i}").as_bytes())).collect();
        file.array("tokenizer.ggml.tokens", 8, 300, tokens)
            .array("tokenizer.ggml.token_type", 5, 300, 1i32.to_le_bytes().repeat(300))
            .text("general.architecture", "bert")
            .u32("bert.block_count", 1)
            .u32("bert.context_length", 128)
            .u32("bert.embedding_length", 64)
            .u32("bert.feed_forward_length", 96)
            .u32("bert.attention.head_count", 4)
            .f32("bert.attention.layer_norm_epsilon", 1e-12)
            .key("bert.attention.causal", 7, vec![0])
            .u32("bert.pooling_type", 1)
            .text("tokenizer.ggml.model", "bert")
            .u32("tokenizer.ggml.token_type_count", 2)
            .u32("tokenizer.ggml.seperator_token_id", 258)
            .u32("tokenizer.ggml.unknown_token_id", 259)
            .u32("tokenizer.ggml.padding_token_id", 260)
    }

    /// An encoder with a head that says how relevant the second of two texts is to the first.
    pub(crate) fn reranker(weight: impl Fn(usize) -> f32) -> Self {
        let mut file = Self::encoder(&weight).u32("bert.pooling_type", 4);
        // Tokens of both texts are of one type.
        for tensor in file.tensors.iter_mut().filter(|tensor| tensor.name == b"token_types.weight") {
            (tensor.dims, tensor.bytes) = (vec![64, 1], 256);
        }
        let head: [(&str, &[u64]); 4] = [
            ("cls.weight", &[64, 64]),
            ("cls.bias", &[64]),
            ("cls.output.weight", &[64, 1]),
            ("cls.output.bias", &[1]),
        ];
        file.weights(&head, &[], 0, weight).u32("tokenizer.ggml.token_type_count", 1)
    }

    fn weights(
        self,
        whole: &[(&str, &[u64])],
        layer: &[(&str, &[u64])],
        layers: usize,
        weight: impl Fn(usize) -> f32,
    ) -> Self {
        let repeated =
            (0..layers).flat_map(|i| layer.iter().map(move |(part, dims)| (format!("blk.{i}.{part}"), *dims)));
        let all = whole.iter().map(|(name, dims)| ((*name).to_owned(), *dims)).chain(repeated);
        all.fold(self, |file, (name, dims)| {
            let count = dims.iter().product::<u64>() as usize;
            let fill = (0..count).flat_map(|i| weight(i).to_le_bytes()).collect();
            let (name, dims) = (name.into_bytes(), dims.to_vec());
            file.any_tensor(Tensor { name, dims, kind: 0, offset: None, fill, bytes: count * 4 })
        })
    }

    /// Sets a key, in the place of an earlier value if there is one.
    pub(crate) fn key(mut self, key: &str, kind: u32, value: Vec<u8>) -> Self {
        let value = [kind.to_le_bytes().to_vec(), value].concat();
        match self.keys.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = value,
            None => self.keys.push((key.into(), value)),
        }
        self
    }

    pub(crate) fn twice(mut self, key: &str) -> Self {
        let entry = self.keys.iter().find(|(k, _)| k == key).unwrap().clone();
        self.keys.push(entry);
        self
    }

    pub(crate) fn without(mut self, key: &str) -> Self {
        self.keys.retain(|(k, _)| k != key);
        self
    }

    pub(crate) fn text(self, key: &str, value: &str) -> Self {
        self.key(key, 8, string(value.as_bytes()))
    }

    pub(crate) fn u32(self, key: &str, value: u32) -> Self {
        self.key(key, 4, value.to_le_bytes().to_vec())
    }

    pub(crate) fn f32(self, key: &str, value: f32) -> Self {
        self.key(key, 6, value.to_le_bytes().to_vec())
    }

    pub(crate) fn array(self, key: &str, kind: u32, len: u64, elements: Vec<u8>) -> Self {
        self.key(key, 9, [&kind.to_le_bytes()[..], &len.to_le_bytes(), &elements].concat())
    }

    pub(crate) fn tensor(self, name: &str, dims: &[u64], kind: u32, bytes: usize) -> Self {
        self.any_tensor(Tensor { name: name.into(), dims: dims.into(), kind, offset: None, fill: vec![7], bytes })
    }

    pub(crate) fn any_tensor(mut self, tensor: Tensor) -> Self {
        self.tensors.push(tensor);
        self
    }

    pub(crate) fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    pub(crate) fn tensors_mut(&mut self) -> &mut [Tensor] {
        &mut self.tensors
    }

    pub(crate) fn no_tensors(mut self) -> Self {
        self.tensors.clear();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut file = [b"GGUF".to_vec(), self.version.to_le_bytes().to_vec()].concat();
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.keys.len() as u64).to_le_bytes());
        for (key, value) in &self.keys {
            file.extend(string(key.as_bytes()));
            file.extend(value);
        }
        let mut data = Vec::new();
        for tensor in &self.tensors {
            data.resize(data.len().next_multiple_of(self.alignment as usize), 0);
            file.extend(string(&tensor.name));
            file.extend((tensor.dims.len() as u32).to_le_bytes());
            tensor.dims.iter().for_each(|dim| file.extend(dim.to_le_bytes()));
            file.extend(tensor.kind.to_le_bytes());
            file.extend(tensor.offset.unwrap_or(data.len() as u64).to_le_bytes());
            data.extend(tensor.fill.iter().cycle().take(tensor.bytes));
        }
        if !self.tensors.is_empty() {
            file.resize(file.len().next_multiple_of(self.alignment as usize), 0);
        }
        file.extend(data);
        file
    }
}

pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat()
}
