import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { inspect } from 'node:util'
import { createOpenAiProvider } from '../../src/adapters/openai.ts'
import { type ModelChunk, ModelFailure, type ModelProvider, type ModelRequest } from '../../src/kernel/model-ports.ts'
import { type ModelScript, type ModelServer, startAiMock, startModelServer } from '../support/model-server.ts'

const apiKey = 'sk-the-key-that-nobody-sees'
const secretWords = 'the words of a person'

let server: ModelServer
let ai: Awaited<ReturnType<typeof startAiMock>>
before(async () => {
  server = await startModelServer()
  ai = await startAiMock()
})
after(async () => {
  await server.close()
  await ai.close()
})
beforeEach(() => server.reset())

const at = (baseUrl: string, name = 'own'): ModelProvider => createOpenAiProvider({ name, baseUrl, apiKey })

const asking = (changes: Partial<ModelRequest> = {}): ModelRequest => ({
  modelId: 'small',
  turns: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: secretWords },
  ],
  maxOutputTokens: 100,
  temperature: undefined,
  ...changes,
})

async function read(chunks: AsyncIterable<ModelChunk>) {
  const read: ModelChunk[] = []
  for await (const chunk of chunks) read.push(chunk)
  const texts = read.filter((chunk) => chunk.kind === 'text').map((chunk) => chunk.text)
  return { texts, text: texts.join(''), rest: read.filter((chunk) => chunk.kind !== 'text') }
}

const answered = (script: ModelScript, request = asking(), signal = new AbortController().signal) => {
  server.next(script)
  return read(at(server.url).stream(request, signal))
}

/** What had come, and the failure that it ended with. */
async function failed(script: ModelScript, provider = at(server.url)) {
  server.next(script)
  let text = ''
  try {
    for await (const chunk of provider.stream(asking(), new AbortController().signal))
      if (chunk.kind === 'text') text += chunk.text
  } catch (error) {
    assert.ok(error instanceof ModelFailure, inspect(error))
    assert.match(error.message, /^own small: /, 'it names provider and model')
    const shown = inspect(error, { depth: 10, showHidden: true })
    for (const secret of [apiKey, secretWords, 'Be brief']) assert.ok(!shown.includes(secret), shown)
    return { text, failure: error }
  }
  assert.fail('it was taken for whole')
}

test('an answer of a server that is not ours comes as texts, how it ended and what it took', async () => {
  ai.mock.onMessage(secretWords, {
    content: 'It is a long answer, which comes in parts.',
    usage: { prompt_tokens: 12 },
  })
  const { texts, text, rest } = await read(at(`${ai.url}`).stream(asking(), new AbortController().signal))
  assert.equal(text, 'It is a long answer, which comes in parts.')
  assert.ok(texts.length > 1)
  assert.ok(texts.every((part) => part !== ''))
  assert.deepEqual(
    rest.map(({ kind }) => kind),
    ['finish', 'usage'],
  )
  assert.deepEqual(rest[0], { kind: 'finish', reason: 'stop' })
  assert.equal((rest[1] as { inputTokens: number }).inputTokens, 12)
})

test('refusals of a server that is not ours are failures', async () => {
  for (const [status, isPassing] of [
    [500, true],
    [429, true],
    [401, false],
  ] as const) {
    ai.mock.nextRequestError(status, { message: `about ${apiKey} and ${secretWords}` })
    await assert.rejects(
      read(at(ai.url).stream(asking(), new AbortController().signal)),
      (error: unknown) => error instanceof ModelFailure && error.isPassing === isPassing,
    )
  }
})

test('it asks once, for a stream with usage, with the key, the turns and the figures', async () => {
  await answered({}, asking({ temperature: 0.5 }))
  assert.equal(server.requests.length, 1)
  const [{ body, headers }] = server.requests as [ModelServer['requests'][number]]
  assert.deepEqual(body, {
    model: 'small',
    messages: asking().turns,
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: 100,
    temperature: 0.5,
  })
  assert.equal(headers.authorization, `Bearer ${apiKey}`)
})

test("OpenAI's own models are given the limit by its newer name, and its reasoning models no temperature", async () => {
  const openai = at(server.url, 'openai')
  for (const modelId of ['gpt-4o', 'o3-mini', 'omega'])
    await read(openai.stream(asking({ modelId, temperature: 1 }), new AbortController().signal))
  assert.deepEqual(
    server.requests.map(({ body }) => [body['max_completion_tokens'], body['max_tokens'], body['temperature']]),
    [
      [100, undefined, 1],
      [100, undefined, undefined],
      [100, undefined, 1],
    ],
  )
})

test('a server without a key is sent none, also where the environment has one for others', async () => {
  const keyless = createOpenAiProvider({ name: 'own', baseUrl: server.url })
  assert.equal((await read(keyless.stream(asking(), new AbortController().signal))).text, 'Hello there.')
  const variables = { OPENAI_API_KEY: 'sk-of-the-environment', OPENAI_ORG_ID: 'org-of-the-environment' }
  Object.assign(process.env, variables)
  try {
    const local = createOpenAiProvider({ name: 'own', baseUrl: server.url })
    assert.equal((await read(local.stream(asking(), new AbortController().signal))).text, 'Hello there.')
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name]
  }
  for (const { headers } of server.requests) {
    assert.equal(headers.authorization, undefined)
    assert.doesNotMatch(JSON.stringify(headers), /of-the-environment/)
  }
  assert.equal(server.requests.length, 2)
})

test('how an answer ended is told in our words', async () => {
  for (const [finish, reason] of [
    ['stop', 'stop'],
    ['length', 'length'],
    ['content_filter', 'refused'],
  ] as const)
    assert.deepEqual((await answered({ finish })).rest[0], { kind: 'finish', reason })
})

test('without the chunk of usage the answer is whole all the same', async () => {
  const { text, rest } = await answered({ usage: null })
  assert.equal(text, 'Hello there.')
  assert.deepEqual(rest, [{ kind: 'finish', reason: 'stop' }])
})

test('an empty answer has no text, but an end', async () => {
  const { texts, rest } = await answered({ chunks: ['', ''] })
  assert.deepEqual(texts, [])
  assert.equal(rest[0]?.kind, 'finish')
})

test('characters come whole, wherever bytes and chunks are cut', async () => {
  const said = 'Grüße 안녕 👩‍👩‍👧 🎉 ✓'
  assert.equal((await answered({ chunks: [said], bytesPerWrite: 1 })).text, said)
  // cut between the two halves of a surrogate pair, as escapes in JSON can be
  const { texts, text } = await answered({ chunks: ['a\ud83c', '\udf89b', '\ud83c'] })
  assert.equal(text, 'a🎉b\ufffd')
  assert.ok(texts.every((part) => part.isWellFormed()))
})

test('what the database cannot store is not passed on', async () => {
  assert.equal((await answered({ chunks: ['a\0b', '\0'] })).text, 'ab')
})

test('a stream that ends without saying how is a failure, after the text that came', async () => {
  const { text, failure } = await failed({ finish: null })
  assert.equal(text, 'Hello there.')
  assert.ok(failure.isPassing)
})

test('a reset connection is a failure, after the text that came and before any', async () => {
  const { text, failure } = await failed({ fault: 'reset' })
  assert.equal(text, 'Hello there.')
  assert.ok(failure.isPassing)
  assert.ok((await failed({ chunks: [], fault: 'reset' })).failure.isPassing)
})

test('a chunk that is no JSON is a failure', async () => {
  const { text, failure } = await failed({ fault: 'bad-json' })
  assert.equal(text, 'Hello there.')
  assert.match(failure.message, /no JSON/)
  assert.ok(failure.isPassing)
})

test('the SDK writes nothing to the console, whatever happens', async (t) => {
  const methods = (['debug', 'info', 'log', 'warn', 'error'] as const).map((name) =>
    t.mock.method(console, name, () => {}),
  )
  for (const script of [{}, { fault: 'bad-json' }, { fault: 'reset' }, { fault: 'status' }] as const) {
    server.next(script)
    await read(at(server.url).stream(asking(), new AbortController().signal)).catch(() => {})
  }
  assert.ok(methods.every(({ mock }) => mock.callCount() === 0))
})

test('a server that is not there is a passing failure', async () => {
  const gone = await startModelServer()
  await gone.close()
  const { failure } = await failed({}, at(gone.url))
  assert.ok(failure.isPassing)
  assert.match(failure.message, /no connection \(ECONNREFUSED\)/)
})

test('busy and broken servers may be asked again, refusals may not', async () => {
  const error = { message: `You sent ${secretWords} with ${apiKey}`, type: apiKey, code: secretWords }
  for (const [status, isPassing] of [
    ...([500, 502, 503, 529, 429, 408] as const).map((code) => [code, true] as const),
    ...([400, 401, 403, 404, 422] as const).map((code) => [code, false] as const),
  ]) {
    const { failure } = await failed({ fault: 'status', status, error })
    assert.equal(failure.isPassing, isPassing, String(status))
    assert.match(failure.message, new RegExp(`answered ${status}$`))
  }
  assert.equal(server.requests.length, 11, 'each was asked once')
})

test('a bill that is not paid does not pass, though its status says so', async () => {
  const error = { message: 'You exceeded your quota', type: 'insufficient_quota', code: 'insufficient_quota' }
  const { failure } = await failed({ fault: 'status', status: 429, error })
  assert.equal(failure.isPassing, false)
  assert.match(failure.message, /answered 429 \(insufficient_quota\)$/)
})

test('how long a busy server asks to wait is told, within a minute', async () => {
  const wait = async (script: ModelScript) => (await failed({ fault: 'status', status: 429, ...script })).failure
  assert.equal((await wait({ retryAfter: 2 })).retryAfterMs, 2000)
  assert.equal((await wait({ retryAfter: 2, headers: { 'retry-after-ms': '150' } })).retryAfterMs, 150)
  assert.equal((await wait({ retryAfter: 100_000 })).retryAfterMs, 60_000)
  assert.equal((await wait({ headers: { 'retry-after': 'soon' } })).retryAfterMs, undefined)
  assert.equal((await wait({})).retryAfterMs, undefined)
  const date = new Date(Date.now() + 20_000).toUTCString()
  const { retryAfterMs = 0 } = await wait({ headers: { 'retry-after': date } })
  assert.ok(retryAfterMs > 15_000 && retryAfterMs <= 20_000, String(retryAfterMs))
})

/** Aborts, and says in milliseconds how long after that nothing more came and the server saw the connection closed. */
async function abortWhile(state: 'before the head' | 'in the text' | 'stalled'): Promise<void> {
  const stop = new AbortController()
  const never = new Promise(() => {})
  const scripts: Record<typeof state, ModelScript> = {
    'before the head': { holdUntil: never },
    'in the text': { holdUntil: never, holdAfter: 2 },
    stalled: { fault: 'stall' },
  }
  const expected = { 'before the head': '', 'in the text': 'Hello there', stalled: 'Hello there.' }[state]
  server.reset()
  server.next(scripts[state])
  let text = ''
  const reading = (async () => {
    for await (const chunk of at(server.url).stream(asking(), stop.signal)) {
      assert.equal(chunk.kind, 'text')
      if (chunk.kind === 'text') text += chunk.text
      if (text === expected) queueMicrotask(() => stop.abort())
    }
  })()
  const request = await server.request(1)
  if (expected === '') stop.abort()
  await reading
  assert.equal(text, expected)
  assert.equal((await request.ended).by, 'client')
  assert.equal(server.open(), 0)
}

test('after the signal nothing more comes and the connection is closed, whatever it waits for', async () => {
  await abortWhile('before the head')
  await abortWhile('in the text')
  await abortWhile('stalled')
})

test('a signal that was given before asks nobody', async () => {
  assert.deepEqual((await answered({}, asking(), AbortSignal.abort())).texts, [])
  assert.equal(server.requests.length, 0)
})

test('a reader that goes away closes the connection', async () => {
  server.next({ fault: 'stall' })
  for await (const chunk of at(server.url).stream(asking(), new AbortController().signal)) {
    assert.equal(chunk.kind, 'text')
    break
  }
  assert.equal((await (await server.request(1)).ended).by, 'client')
})

test('a server that does not begin to answer is given up in time', async () => {
  const hasty = createOpenAiProvider({ name: 'own', baseUrl: server.url, apiKey, idleTimeoutMs: 100 })
  const { failure } = await failed({ holdUntil: new Promise(() => {}) }, hasty)
  assert.match(failure.message, /no answer in time/)
  assert.ok(failure.isPassing)
  assert.equal((await (await server.request(1)).ended).by, 'client')
})

test('an answer that said how it ended is whole, though the connection then breaks or stays open', async () => {
  for (const fault of ['reset-after-finish', 'stall-after-finish'] as const) {
    const hasty = createOpenAiProvider({ name: 'own', baseUrl: server.url, apiKey, idleTimeoutMs: 200 })
    server.next({ fault })
    const { text, rest } = await read(hasty.stream(asking(), new AbortController().signal))
    assert.equal(text, 'Hello there.')
    assert.deepEqual(rest, [{ kind: 'finish', reason: 'stop' }])
  }
})
