//! The header and the Rust side must say the same: names, parameters, layouts, numbers.
//!
//! Nothing is written down a third time: types come from the compiled functions and structs, and the
//! header is read as the C compiler reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::spelling::{Signature, is_name, prototypes};
use super::*;

/// The functions of one noun, with the number of their parameters: name → prototype, of the compiled function. `none`
/// stands for no parameter, `safe` for the one of a function that is not unsafe.
macro_rules! functions {
    ($($name:ident($($parameter:tt)*);)*) => {
        /// Name → prototype.
        pub(super) fn functions() -> Functions {
            // The cast names the number of parameters; their types are the function's own.
            BTreeMap::from([$((stringify!($name).to_owned(), ($name as functions!(@pointer $($parameter)*)).c()),)*])
        }
    };
    (@pointer none) => { extern "C" fn() -> _ };
    (@pointer safe) => { extern "C" fn(_) -> _ };
    (@pointer $($parameter:tt)*) => { unsafe extern "C" fn($($parameter),*) -> _ };
}

type Functions = BTreeMap<String, String>;

mod base;
mod crash;
mod deployment;
mod engine;
mod layers;
mod monitor;
mod pack;
mod store;
mod sync;
mod weights;

#[test]
fn every_prototype_is_the_signature_of_its_function() {
    let nouns = [
        base::functions(),
        engine::functions(),
        monitor::functions(),
        sync::functions(),
        weights::functions(),
        pack::functions(),
        crash::functions(),
        store::functions(),
        layers::functions(),
        deployment::functions(),
    ];
    let rust: Functions = nouns.into_iter().flatten().collect();
    let header = prototypes(&preprocessed());
    assert_eq!(header.keys().collect::<Vec<_>>(), rust.keys().collect::<Vec<_>>());
    for (name, prototype) in &header {
        assert_eq!(prototype, &rust[name], "{name}: left is the header, right is Rust");
    }
}

#[test]
fn every_exported_function_is_in_the_header() {
    let mut exported = Vec::new();
    for file in std::fs::read_dir(ffi().join("src")).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        for after in source.split("#[unsafe(no_mangle)]").skip(1) {
            let name = after.split("fn ").nth(1).and_then(|s| s.split('(').next()).unwrap();
            exported.push(name.to_owned());
        }
    }
    exported.sort();
    assert_eq!(exported, prototypes(&preprocessed()).into_keys().collect::<Vec<_>>());
}

#[test]
fn every_struct_has_the_same_layout_and_ends_without_padding() {
    let mut expected = String::new();
    let mut program = String::from("#include <stdio.h>\n#include \"selvedge.h\"\nint main(void) {\n");
    let mut structs = Vec::new();
    macro_rules! layouts {
        ($($name:ident { $($field:ident)* })*) => {$(
            structs.push(stringify!($name));
            let fields: &[(&str, usize)] = &[$((stringify!($field), offset_of!(selvedge_ffi::abi::$name, $field)),)*];
            let zero = selvedge_ffi::abi::$name::default();
            // A new field in what was padding could not be reported from an old caller's rubbish.
            let sizes = [$(size_of_val(&zero.$field),)*];
            assert_eq!(fields.last().unwrap().1 + sizes[sizes.len() - 1], size_of_val(&zero), stringify!($name));
            writeln!(expected, "{} {}", stringify!($name), size_of_val(&zero)).unwrap();
            writeln!(program, "printf(\"{0} %zu\\n\", sizeof({0}));", stringify!($name)).unwrap();
            for ((field, offset), size) in fields.iter().zip(sizes) {
                writeln!(expected, "  {field} {offset} {size}").unwrap();
                writeln!(
                    program,
                    "printf(\"  {field} %zu %zu\\n\", offsetof({0}, {field}), sizeof((({0} *)0)->{field}));",
                    stringify!($name)
                )
                .unwrap();
            }
            // As many fields in the header as here.
            assert_eq!(fields_of(&preprocessed(), stringify!($name)), fields.len(), stringify!($name));
        )*};
    }
    layouts! {
        selvedge_text { data len }
        selvedge_pair { name value }
        selvedge_log_line { struct_size level reserved target message }
        selvedge_source { struct_size kind flags path file offset length data data_len release user_data }
        selvedge_options { struct_size backend loading threads context_tokens parallel flags memory_limit sha256
            onnxruntime cancel session_entries session_entry_count progress on_progress user_data crash_folder
            crash_app_version crash_rungs crash_rung_count adapters adapter_count prompt_threads reserved measurements
            accelerator_device accelerator_layers accelerator_flags }
        selvedge_call { struct_size cancel timeout_ms id priority flags }
        selvedge_tensor { struct_size name name_len dims rank data byte_len dtype flags }
        selvedge_tensors { struct_size inputs input_count outputs output_count }
        selvedge_output { struct_size name data capacity dims dim_capacity dtype flags rank byte_len }
        selvedge_tool { struct_size name description parameters }
        selvedge_tool_call { struct_size id name arguments }
        selvedge_message { struct_size role content reasoning tool_calls tool_call_count tool_call_id }
        selvedge_document { struct_size title text }
        selvedge_adapter { struct_size name scale flags }
        selvedge_bias { token bias }
        selvedge_generate { struct_size prompt messages message_count tokens token_count stop stop_count flags
            max_tokens seed temperature top_k top_p min_p repeat_penalty frequency_penalty presence_penalty
            penalty_last_n reserved grammar grammar_kind grammar_flags tools tool_count tool_name tool_choice thinking
            documents document_count variables variable_count adapters adapter_count biases bias_count top_logprobs
            text_flags }
        selvedge_embed { struct_size texts text_count flags reserved }
        selvedge_score { struct_size prompt messages message_count tokens token_count continuations continuation_count
            adapters adapter_count }
        selvedge_rerank { struct_size query documents document_count }
        selvedge_prefixes { struct_size prefixes tokens bytes }
        selvedge_token { id logprob }
        selvedge_event { struct_size kind finish done total text text_len tokens token_count input_tokens
            cached_tokens output_tokens name name_len id id_len reason reason_len index }
        selvedge_limits { struct_size bytes history_bytes segment_bytes lanes slots durability flags }
        selvedge_column { struct_size name data stride dtype source flags reserved }
        selvedge_rows { struct_size columns column_count row_count embeddings embedding_width right }
        selvedge_fit { struct_size bins categories seed block sha256 }
        selvedge_alert { struct_size event severity action reserved since at kind feature evidence }
        selvedge_monitor_options { struct_size config profile on_alert user_data release }
        selvedge_outbox_options { struct_size app app_version attributes attribute_count interval_ms min_count
            epsilon encoding flags }
        selvedge_http_request { struct_size path content_type content_encoding body body_len }
        selvedge_http_response { struct_size status reserved content_type retry_after body body_len }
        selvedge_retry { struct_size attempts flags base_ms cap_ms }
        selvedge_judgement { struct_size decision reserved wait_ms refused reason }
        selvedge_hit { row score }
        selvedge_pack_options { struct_size scheme flags min_elements mean_bits only only_count keep keep_count
            finer finer_count cancel progress on_progress user_data }
        selvedge_trust { struct_size keys key_count root flags reserved authorities authority_count identities issuers
            identity_count sigstore }
        selvedge_package { struct_size kind flags path tag file offset length read user_data }
        selvedge_import_options { struct_size cancel progress on_progress user_data }
        selvedge_repository { struct_size timestamp snapshot targets roots root_count }
        selvedge_stage { struct_size engine checks }
        selvedge_history { struct_size scores at labels came row_count now window curve threshold }
        selvedge_estimate { struct_size accuracy ones cbpe_accuracy cbpe_ones in_flight_accuracy in_flight_ones offset
            rows }
        selvedge_threshold { struct_size above bound escalated escalated_low escalated_high wrong_of_accepted wrong_low
            wrong_high rows accepted }
    }
    let declared = preprocessed().matches("typedef struct selvedge_").count();
    let handles = 20;
    assert_eq!(declared, structs.len() + handles, "a struct of the header is missing above");
    assert_eq!(output_of(&(program + "return 0; }\n")), expected);
}

#[test]
fn every_number_is_the_same() {
    let mut rust = BTreeMap::new();
    macro_rules! numbers {
        ($($name:ident)*) => {$(rust.insert(stringify!($name).to_owned(), i64::from($name));)*};
    }
    numbers! {
        SELVEDGE_DTYPE_UNSET SELVEDGE_LOG_OFF SELVEDGE_LOG_ERROR SELVEDGE_LOG_WARN SELVEDGE_LOG_INFO
        SELVEDGE_LOG_DEBUG SELVEDGE_LOG_TRACE SELVEDGE_BACKEND_AUTO SELVEDGE_BACKEND_LLAMA SELVEDGE_BACKEND_ORT
        SELVEDGE_BACKEND_TRACT SELVEDGE_BACKEND_TABLE SELVEDGE_BACKEND_RTEN SELVEDGE_SOURCE_PATH SELVEDGE_SOURCE_FILE
        SELVEDGE_SOURCE_MEMORY SELVEDGE_LOADING_MAPPED SELVEDGE_LOADING_READ SELVEDGE_PRIORITY_BACKGROUND
        SELVEDGE_PRIORITY_NORMAL SELVEDGE_PRIORITY_INTERACTIVE SELVEDGE_TRIM_CACHES SELVEDGE_TRIM_ALL
        SELVEDGE_EVENT_NONE SELVEDGE_EVENT_WORKING SELVEDGE_EVENT_TEXT SELVEDGE_EVENT_DONE SELVEDGE_EVENT_REASONING
        SELVEDGE_EVENT_CALL_PIECE SELVEDGE_EVENT_TOOL_CALL SELVEDGE_EVENT_MALFORMED_CALL SELVEDGE_FINISH_NONE
        SELVEDGE_TOOL_CHOICE_AUTO SELVEDGE_TOOL_CHOICE_NONE SELVEDGE_TOOL_CHOICE_REQUIRED SELVEDGE_TOOL_CHOICE_NAMED
        SELVEDGE_THINKING_AUTO SELVEDGE_THINKING_ON SELVEDGE_THINKING_OFF SELVEDGE_GENERATE_CONTINUE_LAST
        SELVEDGE_GENERATE_SEPARATE_REASONING
        SELVEDGE_FINISH_COMPLETE SELVEDGE_FINISH_END_OF_TEXT SELVEDGE_FINISH_STOP SELVEDGE_FINISH_LENGTH
        SELVEDGE_FINISH_CONTEXT_FULL SELVEDGE_FINISH_OTHER SELVEDGE_OPTIONS_NO_SYMLINKS
        SELVEDGE_OPTIONS_SEARCH_PYTHON SELVEDGE_OPTIONS_OWN_PRODUCTS SELVEDGE_ACCELERATOR_ALL SELVEDGE_MAX_TOKENS_NONE SELVEDGE_GENERATE_SEEDED
        SELVEDGE_GENERATE_LOGPROBS SELVEDGE_GRAMMAR_NONE SELVEDGE_GRAMMAR_JSON_SCHEMA SELVEDGE_GRAMMAR_REGEX
        SELVEDGE_GRAMMAR_LARK SELVEDGE_GRAMMAR_GBNF SELVEDGE_EMBED_RAW SELVEDGE_DURABILITY_PROCESS SELVEDGE_DURABILITY_POWER
        SELVEDGE_FEATURE_INPUT SELVEDGE_FEATURE_CLASS SELVEDGE_FEATURE_CONFIDENCE SELVEDGE_FEATURE_ENTROPY
        SELVEDGE_FEATURE_LATENCY SELVEDGE_FEATURE_LENGTH SELVEDGE_COLUMN_CATEGORY SELVEDGE_ALERT_NONE
        SELVEDGE_ALERT_RAISED SELVEDGE_ALERT_CLEARED SELVEDGE_SEVERITY_WARNING SELVEDGE_SEVERITY_CRITICAL
        SELVEDGE_ACTION_CHECK_PIPELINE SELVEDGE_ACTION_RETRAIN SELVEDGE_ACTION_ROLL_BACK SELVEDGE_LABEL_CLASS
        SELVEDGE_LABEL_CORRECT SELVEDGE_VERDICT_NONE SELVEDGE_VERDICT_UNKNOWN SELVEDGE_VERDICT_STEADY
        SELVEDGE_VERDICT_SUSPECT SELVEDGE_VERDICT_DRIFTED SELVEDGE_ENCODING_DEFAULT SELVEDGE_ENCODING_IDENTITY
        SELVEDGE_ENCODING_GZIP SELVEDGE_ENCODING_ZSTD SELVEDGE_DECISION_NONE SELVEDGE_DECISION_ACCEPTED
        SELVEDGE_DECISION_WAIT SELVEDGE_DECISION_LATER SELVEDGE_DECISION_SPLIT SELVEDGE_DECISION_DROP
        SELVEDGE_OUTBOX_EXACT_COUNTS SELVEDGE_OUTBOX_ANY_COUNT SELVEDGE_RETRY_ON_METERED
        SELVEDGE_NETWORK_OFFLINE SELVEDGE_NETWORK_METERED SELVEDGE_POOL_MEAN SELVEDGE_POOL_SUM
        SELVEDGE_POOL_NORMALIZE SELVEDGE_SCHEME_F16 SELVEDGE_SCHEME_INT8 SELVEDGE_SCHEME_INT4
        SELVEDGE_PACK_OVERWRITE SELVEDGE_SEVERITY_NONE SELVEDGE_ACTION_NONE SELVEDGE_SCHEME_UNSET
        SELVEDGE_RUNG_ONE_THREAD SELVEDGE_RUNG_READ_WHOLE SELVEDGE_RUNG_OTHER_RUNTIME SELVEDGE_EXIT_NATIVE_CRASH
        SELVEDGE_EXIT_OTHERWISE SELVEDGE_PACKAGE_PATH SELVEDGE_PACKAGE_FOLDER SELVEDGE_PACKAGE_LAYOUT
        SELVEDGE_PACKAGE_TAR_FILE SELVEDGE_PACKAGE_TAR_READER SELVEDGE_TRUST_UNSIGNED
        SELVEDGE_ON_ERROR_ESCALATE SELVEDGE_ON_ERROR_RETURN SELVEDGE_PRESSURE_WARNING SELVEDGE_PRESSURE_CRITICAL
        SELVEDGE_ARM_NONE SELVEDGE_ARM_CURRENT SELVEDGE_ARM_CANARY SELVEDGE_ARM_OTHER SELVEDGE_ROLLOUT_NONE
        SELVEDGE_ROLLOUT_OUTSIDE SELVEDGE_ROLLOUT_LOADING SELVEDGE_ROLLOUT_SELF_TEST SELVEDGE_ROLLOUT_SHADOW
        SELVEDGE_ROLLOUT_CANARY SELVEDGE_ROLLOUT_PROMOTED SELVEDGE_ROLLOUT_DRAINING SELVEDGE_ROLLOUT_RETIRED
        SELVEDGE_ROLLOUT_ROLLED_BACK SELVEDGE_ROLLOUT_MISSED SELVEDGE_ROLLOUT_QUARANTINED SELVEDGE_ROLLOUT_OTHER
    }
    rust.insert("SELVEDGE_OK".into(), 0);
    rust.insert("SELVEDGE_ABI_MAJOR".into(), i64::from(SELVEDGE_ABI.0));
    rust.insert("SELVEDGE_ABI_MINOR".into(), i64::from(SELVEDGE_ABI.1));
    for dtype in selvedge::DType::ALL {
        rust.insert(format!("SELVEDGE_{}", dtype.name().to_uppercase()), dtype as i64);
    }
    for code in codes() {
        rust.insert(format!("SELVEDGE_ERR_{}", code.name()), code as i64);
    }

    let names = constants();
    let mut program = String::from("#include <stdio.h>\n#include \"selvedge.h\"\nint main(void) {\n");
    for name in &names {
        writeln!(program, "printf(\"%s %lld\\n\", \"{name}\", (long long){name});").unwrap();
    }
    let output = output_of(&(program + "return 0; }\n"));
    let header: BTreeMap<String, i64> =
        output.lines().map(|l| l.split_once(' ').unwrap()).map(|(n, v)| (n.into(), v.parse().unwrap())).collect();
    assert_eq!(header, rust, "left is the header, right is Rust");
    let soname = std::fs::read_to_string(ffi().join("build.rs")).unwrap();
    assert!(soname.contains(&format!("libselvedge.so.{}", SELVEDGE_ABI.0)), "build.rs names another major");
}

/// Every code there is: those the error room's source declares, for the enum cannot be listed from outside.
fn codes() -> Vec<Code> {
    let source = std::fs::read_to_string(ffi().join("../src/error.rs")).unwrap();
    let body = source.split("pub enum Code {").nth(1).unwrap().split("\n}").next().unwrap();
    let declared = body.lines().filter(|l| l.contains(" = ")).count();
    let known = [
        Code::InvalidArgument,
        Code::NotFound,
        Code::Unsupported,
        Code::OutOfMemory,
        Code::Cancelled,
        Code::Busy,
        Code::Io,
        Code::Corrupt,
        Code::Backend,
        Code::DeadlineExceeded,
        Code::ContextFull,
        Code::MissingRuntime,
        Code::BadHandle,
        Code::Internal,
        Code::Quarantined,
        Code::Untrusted,
        Code::Panic,
    ];
    assert_eq!(declared, known.len(), "the error room has a code that this test, and perhaps the header, has not");
    known.into()
}

fn fields_of(header: &str, name: &str) -> usize {
    let body = header.split(&format!("typedef struct {name} {{")).nth(1).unwrap();
    body.split('}').next().unwrap().matches(';').count()
}

/// The names of all numbers of the header: enumerators, and macros that stand for one.
fn constants() -> Vec<String> {
    let headers = std::fs::read_dir(ffi().join("include/selvedge")).unwrap();
    let source: String = headers.map(|h| std::fs::read_to_string(h.unwrap().path()).unwrap()).collect();
    let word = |s: &str| s.chars().take_while(|c| is_name(*c)).collect::<String>();
    let enumerators =
        source.lines().filter(|l| l.starts_with("  SELVEDGE_") && l.contains(" = ")).map(|l| word(&l[2..]));
    let value = |l: &&str| {
        let value = l.split_whitespace().nth(2).unwrap_or("");
        value.starts_with(|c: char| c.is_ascii_digit()) || value == "UINT32_MAX"
    };
    let macros = source.lines().filter(|l| l.starts_with("#define SELVEDGE_")).filter(value).map(|l| word(&l[8..]));
    enumerators.chain(macros).collect()
}

pub(crate) fn preprocessed() -> String {
    let header = ffi().join("include/selvedge.h");
    let output = Command::new(cc()).args(["-E", "-P", "-std=c99"]).arg(header).output().expect("a C compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a C program says.
fn output_of(program: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (source, binary) = (folder.path().join("says.c"), folder.path().join("says"));
    std::fs::write(&source, program).unwrap();
    let compiled = Command::new(cc())
        .args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"])
        .arg(format!("-I{}", ffi().join("include").display()))
        .arg(&source)
        .arg("-o")
        .arg(&binary)
        .output()
        .expect("a C compiler");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    String::from_utf8(Command::new(&binary).output().unwrap().stdout).unwrap()
}

fn cc() -> String {
    std::env::var("CC").unwrap_or_else(|_| "cc".into())
}

fn ffi() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
}
