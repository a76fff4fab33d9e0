import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { openGroup } from '../messenger/scene.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { join, type Person } from '../support/people.ts'

let server: Backend
let ann: Person
before(async () => {
  server = await startBackend({ CORS_ORIGINS: 'https://app.example.org,http://localhost:5173' })
  ann = await join(server.url, 'ann')
})
after(() => server.end())

async function call(path: string, { as, ...init }: RequestInit & { as?: Person } = {}) {
  const headers = { ...(as && { authorization: `Bearer ${as.session.accessToken}` }), ...(init.headers as object) }
  const response = await fetch(`${server.url}${path}`, { ...init, headers })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) }
}

test('pages of allowed origins may read answers, others may not, and preflights say so', async () => {
  const origin = 'https://app.example.org'
  const allowed = await call('/v1/conversations', { headers: { origin }, as: ann })
  assert.equal(allowed.headers.get('access-control-allow-origin'), origin)
  assert.match(allowed.headers.get('access-control-expose-headers') ?? '', /X-Request-Id/)
  assert.match(allowed.headers.get('vary') ?? '', /Origin/i)
  for (const other of ['https://evil.example', 'null', 'https://app.example.org.evil.example']) {
    const refused = await call('/v1/conversations', { headers: { origin: other }, as: ann })
    assert.notEqual(refused.headers.get('access-control-allow-origin'), other)
    assert.notEqual(refused.headers.get('access-control-allow-origin'), '*')
  }
  const asks = {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type',
  }
  const preflight = await call('/v1/sync', { method: 'OPTIONS', headers: asks })
  assert.equal(preflight.status, 204)
  assert.equal(preflight.headers.get('access-control-allow-origin'), origin)
  assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /authorization/i)
})

test('answers tell browsers to be careful, and nobody what runs here', async () => {
  const { headers } = await call('/v1/conversations', { as: ann })
  assert.equal(headers.get('x-content-type-options'), 'nosniff')
  assert.equal(headers.get('x-powered-by'), null)
})

test('an operator sees health, readiness and metrics', async () => {
  assert.deepEqual((await call('/healthz')).json(), { status: 'ok' })
  const ready = (await call('/readyz')).json()
  assert.equal(ready.status, 'ready')
  assert.equal(ready.checks.database, 'ok')
  const conversationId = await openGroup(ann)
  await ann.do('message:send', { conversationId, clientId: randomUUID(), content: 'counted' })
  const { text, headers } = await call('/metrics')
  assert.match(headers.get('content-type') ?? '', /^text\/plain/)
  const names = [
    ...[
      'kintsugi_operation_seconds',
      'kintsugi_sockets',
      'kintsugi_socket_evictions_total',
      'kintsugi_messages_stored_total',
    ],
    ...['kintsugi_batch_messages', 'kintsugi_commit_seconds', 'kintsugi_fanout_events_total', 'kintsugi_resyncs_total'],
    ...['kintsugi_link_up', 'nodejs_eventloop_lag_seconds', 'process_resident_memory_bytes'],
  ]
  for (const name of names) assert.match(text, new RegExp(`^# TYPE ${name} `, 'm'))
  assert.match(text, /^kintsugi_sockets 1$/m)
  assert.match(text, /kintsugi_operation_seconds_count\{operation="message:send",outcome="ok"\} [1-9]/)
})
