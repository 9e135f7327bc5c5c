// Requests for text: prompts, tools, forms and terms, as structs of the library.

import { SelvedgeError, numbers, struct, structs } from './native.js';
import { textArray } from './tensor.js';

/** The struct of a generation. */
export function generateOf(prompt, options, keep) {
  const fields = {
    max_tokens: options.maxTokens === null ? numbers.SELVEDGE_MAX_TOKENS_NONE : options.maxTokens,
    seed: options.seed,
    temperature: options.temperature,
    top_k: options.topK,
    top_p: options.topP,
    min_p: options.minP,
    repeat_penalty: options.repeatPenalty,
    frequency_penalty: options.frequencyPenalty,
    presence_penalty: options.presencePenalty,
    penalty_last_n: options.penaltyLastN,
    top_logprobs: options.topLogprobs,
    flags: (options.seed === undefined ? 0 : numbers.SELVEDGE_GENERATE_SEEDED)
      | (options.logprobs ? numbers.SELVEDGE_GENERATE_LOGPROBS : 0)
      | (options.continueLast ? numbers.SELVEDGE_GENERATE_CONTINUE_LAST : 0)
      | (options.separateReasoning ? numbers.SELVEDGE_GENERATE_SEPARATE_REASONING : 0),
    ...promptOf(prompt, keep),
    ...chatOf(options, keep),
    ...adaptersOf(options.adapters, keep),
  };
  if (options.grammar) Object.assign(fields, grammarOf(options.grammar));
  if (options.stop) {
    fields.stop = textArray(options.stop, keep);
    fields.stop_count = options.stop.length;
  }
  const biases = [
    ...Object.entries(options.bias ?? {}).map(([token, bias]) => ({ token: Number(token), bias })),
    ...(options.ban ?? []).map((token) => ({ token, bias: -Infinity })),
  ];
  Object.assign(fields, listed('biases', 'bias_count', 'selvedge_bias', biases, keep));
  return struct('selvedge_generate', fields, keep);
}

/** The struct of a score. */
export function scoreOf(prompt, continuations, options, keep) {
  const fields = {
    ...promptOf(prompt, keep),
    ...adaptersOf(options.adapters, keep),
    continuations: textArray(continuations, keep),
    continuation_count: continuations.length,
  };
  return struct('selvedge_score', fields, keep);
}

/** An array of structs as two fields; none, if it is empty. */
export function listed(name, count, kind, list, keep) {
  return list.length ? { [name]: structs(kind, list, keep), [count]: list.length } : {};
}

function promptOf(prompt, keep) {
  if (typeof prompt === 'string') return { prompt };
  if (!prompt.messages) return { tokens: Uint32Array.from(prompt.tokens), token_count: prompt.tokens.length };
  const messages = prompt.messages.map(({ role, content, reasoning, toolCalls = [], toolCallId }) => ({
    role,
    content,
    reasoning,
    tool_call_id: toolCallId,
    ...listed('tool_calls', 'tool_call_count', 'selvedge_tool_call', toolCalls, keep),
  }));
  return listed('messages', 'message_count', 'selvedge_message', messages, keep);
}

/** What only a conversation has. */
function chatOf(options, keep) {
  const tools = (options.tools ?? []).map(({ name, description = '', parameters = '{}' }) => ({
    name,
    description,
    parameters: typeof parameters === 'string' ? parameters : JSON.stringify(parameters),
  }));
  const variables = Object.entries(options.variables ?? {}).map(([name, value]) => ({ name, value: JSON.stringify(value) }));
  const fields = {
    ...listed('tools', 'tool_count', 'selvedge_tool', tools, keep),
    ...listed('documents', 'document_count', 'selvedge_document', options.documents ?? [], keep),
    ...listed('variables', 'variable_count', 'selvedge_pair', variables, keep),
    ...choiceOf(options.toolChoice ?? 'auto'),
  };
  if (options.thinking !== undefined) {
    fields.thinking = options.thinking ? numbers.SELVEDGE_THINKING_ON : numbers.SELVEDGE_THINKING_OFF;
  }
  return fields;
}

/** `'auto'`, `'none'`, `'required'`, or `{ name }` of a tool. */
function choiceOf(choice) {
  if (typeof choice === 'object') {
    return { tool_choice: numbers.SELVEDGE_TOOL_CHOICE_NAMED, tool_name: choice.name };
  }
  const found = choice !== 'named' && numbers[`SELVEDGE_TOOL_CHOICE_${`${choice}`.toUpperCase()}`];
  if (found === undefined || found === false) {
    throw new TypeError(`toolChoice: expected 'auto', 'none', 'required' or { name }, got ${choice}`);
  }
  return { tool_choice: found };
}

/** Names of adapters, or names with their scales. */
function adaptersOf(adapters = [], keep) {
  const pairs = Array.isArray(adapters) ? adapters.map((name) => [name, 1]) : Object.entries(adapters);
  const list = pairs.map(([name, scale]) => ({ name, scale }));
  return listed('adapters', 'adapter_count', 'selvedge_adapter', list, keep);
}

const GRAMMARS = { jsonSchema: 'JSON_SCHEMA', regex: 'REGEX', lark: 'LARK', gbnf: 'GBNF' };

function grammarOf(grammar) {
  const [[name, form] = [], ...more] = Object.entries(grammar);
  if (!GRAMMARS[name] || more.length) {
    const got = Object.keys(grammar).join(', ') || 'none';
    const message = `grammar: expected one of ${Object.keys(GRAMMARS).join(', ')}, got ${got}`;
    throw new SelvedgeError(numbers.SELVEDGE_ERR_INVALID_ARGUMENT, message);
  }
  return {
    grammar: name === 'jsonSchema' && typeof form !== 'string' ? JSON.stringify(form) : form,
    grammar_kind: numbers[`SELVEDGE_GRAMMAR_${GRAMMARS[name]}`],
  };
}
