import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { openDirect } from '../messenger/scene.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { join, type Person } from '../support/people.ts'

let server: Backend
let ann: Person
let ben: Person
let conversationId: string
before(async () => {
  server = await startBackend()
  ;[ann, ben] = [await join(server.url, 'ann'), await join(server.url, 'ben')]
  conversationId = await openDirect(ann, ben)
})
after(() => server.end())

interface Answer {
  status: number
  headers: Headers
  text: string
  json(): Record<string, never>
}

async function call(path: string, init: RequestInit & { as?: Person | undefined } = {}): Promise<Answer> {
  const { as, ...rest } = init
  const headers = { ...(as && { authorization: `Bearer ${as.session.accessToken}` }), ...(init.headers as object) }
  const response = await fetch(`${server.url}${path}`, { ...rest, headers })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) }
}

const post = (path: string, body: string, type = 'application/json', as: Person | undefined = ann) =>
  call(path, { method: 'POST', body, headers: { 'content-type': type }, as })

/** A problem by RFC 9457 and nothing of the server’s inside. */
function isProblem(answer: Answer, status: number, code: string): Record<string, unknown> {
  assert.equal(answer.status, status, answer.text.slice(0, 300))
  assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/)
  const problem: Record<string, unknown> = answer.json()
  assert.equal(problem.status, status)
  assert.equal(problem.code, code)
  assert.equal(typeof problem.type, 'string')
  assert.equal(typeof problem.title, 'string')
  assert.ok(String(problem.detail).length > 0)
  assert.equal(problem.requestId, answer.headers.get('x-request-id'))
  assert.doesNotMatch(answer.text, /node_modules|\.ts:|\bat .*\(|select |insert /i)
  return problem
}

const routes: [method: string, path: string, body?: object][] = [
  ['GET', '/v1/conversations'],
  ['POST', '/v1/conversations', { type: 'group' }],
  ['GET', `/v1/conversations/${randomUUID()}/messages`],
  ['POST', `/v1/conversations/${randomUUID()}/messages`, { clientId: 'c', content: 'x' }],
  ['POST', '/v1/sync', {}],
]

const request = (method: string, body: object | undefined, authorization?: string): RequestInit => ({
  method,
  headers: {
    ...(body && { 'content-type': 'application/json' }),
    ...(authorization !== undefined && { authorization }),
  },
  ...(body && { body: JSON.stringify(body) }),
})

test('every route needs a good token', async () => {
  const good = ann.session.accessToken
  const bad = [
    undefined,
    '',
    'Bearer',
    'Bearer garbage',
    `Basic ${good}`,
    `Bearer ${good}x`,
    good,
    `Bearer ${good} ${good}`,
  ]
  for (const [method, path, body] of routes) {
    for (const authorization of bad) {
      const answer = await call(path, request(method, body, authorization))
      isProblem(answer, 401, 'unauthenticated')
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer')
    }
  }
  const inQuery = await call(`/v1/conversations?access_token=${good}`)
  isProblem(inQuery, 401, 'unauthenticated')
})

test('every answer has a request id of its own, also the failures', async () => {
  const answers = await Promise.all(
    ['/healthz', '/v1/conversations', '/nowhere', '/v1/conversations/%ZZ/messages', '/metrics'].map((path) =>
      call(path),
    ),
  )
  const ids = answers.map(({ headers }) => headers.get('x-request-id'))
  assert.equal(new Set(ids).size, ids.length)
  for (const id of ids) assert.match(id ?? '', /^[0-9a-f-]{36}$/)
})

test('conversations and messages are there for callers without a socket', async () => {
  const created = await post(
    '/v1/conversations',
    JSON.stringify({ type: 'group', title: 'By REST', participantIds: [ben.id] }),
  )
  assert.equal(created.status, 201)
  const { id } = created.json() as unknown as { id: string }
  await ben.hears('conversation:created', (it) => it.id === id)
  const sent = await post(`/v1/conversations/${id}/messages`, JSON.stringify({ clientId: 'c1', content: 'hello' }))
  assert.equal(sent.status, 201)
  const page = (await call(`/v1/conversations/${id}/messages?limit=1&before=5`, { as: ben })).json()
  assert.deepEqual([(page.messages as unknown as unknown[]).length, page.hasBefore, page.hasAfter], [1, false, false])
  const list = (await call('/v1/conversations?limit=1&archived=false', { as: ben })).json()
  assert.equal((list.items as unknown as { id: string }[])[0]?.id, id)
  assert.equal(typeof list.nextCursor, 'string')
  const next = (await call(`/v1/conversations?cursor=${list.nextCursor}`, { as: ben })).json()
  assert.equal((next.items as unknown as { id: string }[])[0]?.id, conversationId)
  const synced = await call('/v1/sync', request('POST', { positions: {} }, `Bearer ${ben.session.accessToken}`))
  assert.equal((synced.json().conversations as unknown as unknown[]).length, 2)
})

test('a stranger reads and writes nothing, and cannot tell what exists', async () => {
  const stranger = await join(server.url, 'stranger')
  for (const id of [conversationId, randomUUID()]) {
    const path = `/v1/conversations/${id}/messages`
    const read = isProblem(await call(path, { as: stranger }), 404, 'not_found')
    const written = isProblem(await post(path, '{"clientId":"c","content":"x"}', undefined, stranger), 404, 'not_found')
    assert.equal(read.detail, 'No such conversation.')
    assert.equal(written.detail, 'No such conversation.')
  }
  assert.deepEqual((await ann.do('message:history', { conversationId })).messages, [])
})

test('a request that is not valid says which fields are wrong', async () => {
  const answer = await post('/v1/conversations', JSON.stringify({ type: 'party', title: '' }))
  const { errors } = isProblem(answer, 400, 'invalid_request') as { errors: { path: string; message: string }[] }
  assert.deepEqual(errors.map(({ path }) => path).sort(), ['title', 'type'])
  const paths = [
    ...[
      '/v1/conversations?limit=x',
      '/v1/conversations?limit=0',
      '/v1/conversations?limit=1&limit=2',
      '/v1/conversations?x=1',
    ],
    ...[
      '/v1/conversations?__proto__=1',
      '/v1/conversations?archived=yes',
      '/v1/conversations/5/messages',
      '/v1/conversations?cursor=',
    ],
    ...[
      `/v1/conversations/${conversationId}/messages?before=1e3`,
      `/v1/conversations/${conversationId}/messages?before[]=1`,
    ],
  ]
  for (const path of paths) isProblem(await call(path, { as: ann }), 400, 'invalid_request')
  const twice = JSON.stringify({ conversationId, clientId: 'c', content: 'x' })
  isProblem(await post(`/v1/conversations/${conversationId}/messages`, twice), 400, 'invalid_request')
})

test('a body that is no JSON object, too large or of another type is refused', async () => {
  for (const body of [
    '{',
    '{"type":"group"',
    '[]',
    '[{}]',
    '5',
    'null',
    '"x"',
    '{"a":1}}',
    '\ufeff{',
    "{'type':'group'}",
  ]) {
    isProblem(await post('/v1/conversations', body), 400, 'invalid_request')
  }
  const large = JSON.stringify({ type: 'group', title: 'x'.repeat(300_000) })
  isProblem(await post('/v1/conversations', large), 413, 'payload_too_large')
  const long = JSON.stringify({ clientId: 'c', content: 'x'.repeat(16_001) })
  isProblem(await post(`/v1/conversations/${conversationId}/messages`, long), 413, 'payload_too_large')
  const deep = `{"type":"group","title":${'['.repeat(10_000)}${']'.repeat(10_000)}}`
  isProblem(await post('/v1/conversations', deep), 400, 'invalid_request')
  isProblem(
    await post('/v1/conversations', '{"type":"group"}', 'application/json; charset=klingon'),
    415,
    'unsupported_media',
  )
  const packed = { 'content-type': 'application/json', 'content-encoding': 'zstandard' }
  isProblem(await call('/v1/sync', { method: 'POST', body: '{}', headers: packed, as: ann }), 415, 'unsupported_media')
})

test('a body of another type than JSON is refused, not ignored', async () => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'multipart/form-data']) {
    isProblem(await post('/v1/sync', '{"positions":{}}', type), 415, 'unsupported_media')
  }
})

test('an address that there is not is not_found, whatever the method', async () => {
  const paths = [
    '/nowhere',
    '/v1',
    '/v1/',
    '/v2/conversations',
    '/v1/conversations/x/y/z',
    '/.env',
    '/../package.json',
    '/v1/constructor',
  ]
  for (const path of paths) isProblem(await call(path, { as: ann }), 404, 'not_found')
  for (const method of ['PUT', 'DELETE', 'PATCH'])
    isProblem(await call('/v1/conversations', { method, as: ann }), 404, 'not_found')
  isProblem(await call('/v1/conversations/%E0%A4%A/messages', { as: ann }), 400, 'invalid_request')
})
