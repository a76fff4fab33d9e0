import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { sql } from 'kysely'
import { type Client, createClient, type KeyValueStorage, type Message, memoryStorage } from '../../src/client/index.ts'
import type { Database } from '../../src/database/database.ts'
import type { Person } from '../support/people.ts'
import type { TestServer } from '../support/server.ts'
import { type OwnDatabase, startNodes, useDatabase, useRedis } from '../support/services.ts'

export interface Scene {
  nodes: TestServer[]
  /** The addresses of the first two nodes. */
  a: string
  b: string
  database: OwnDatabase
}

/** Nodes with a new database, and with a Redis where they are more than one; all of it ends with the test or suite. */
export async function startScene(
  context: Pick<TestContext, 'after'>,
  count: number,
  { redis, database, ...env }: { redis?: { url: string }; database?: OwnDatabase } & Record<string, unknown> = {},
): Promise<Scene> {
  // what `after` was given first ends first: nodes are given up before what they stand on
  let nodes: TestServer[] = []
  context.after(() => Promise.all(nodes.map((node) => node.kill())))
  const link = redis ?? (count > 1 ? await closing(context, useRedis()) : undefined)
  const rows = database ?? (await closing(context, useDatabase()))
  nodes = await startNodes(count, { database: rows, redis: link, ...env })
  const [first, second = first] = nodes
  return { nodes, a: first?.url ?? '', b: second?.url ?? '', database: rows }
}

/** What it gives is closed after the test. */
export async function closing<T extends { close(): unknown }>(
  context: Pick<TestContext, 'after'>,
  making: Promise<T>,
): Promise<T> {
  const made = await making
  context.after(async () => void (await made.close()))
  return made
}

/** Asks again and again until the claim holds; fails with `what` after the limit. */
export async function eventually(
  what: string,
  claim: () => boolean | Promise<boolean>,
  limitMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!(await claim())) {
    assert.ok(performance.now() < deadline, `not within ${limitMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Lasts as long as a fault is to last. */
export const lasting = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A client of the package for someone who has an account, connected. */
export async function signIn(
  url: string,
  person: { username: string },
  storage: KeyValueStorage = memoryStorage(),
): Promise<Client> {
  const client = newClient(url, storage)
  await client.login({ username: person.username, password: 'correct horse' })
  await client.connect()
  return client
}

export const newClient = (url: string, storage: KeyValueStorage): Client =>
  createClient({ url, storage, socket: { reconnect: { minMs: 50, maxMs: 500 } } })

/** A group of which all have heard. */
export async function makeGroup(owner: Person, ...others: Person[]): Promise<string> {
  const participantIds = [...new Set(others.map(({ id }) => id))].filter((id) => id !== owner.id)
  const { id } = await owner.do('conversation:create', { type: 'group', title: 'a group', participantIds })
  for (const person of [owner, ...others]) await person.hears('conversation:created', (payload) => payload.id === id)
  return id
}

let sends = 0
/** Sends a text that is like no other, and gives it back with the acknowledgment. */
export async function say(person: Person, conversationId: string, content = `text ${++sends}`) {
  return { content, ...(await person.do('message:send', { conversationId, clientId: crypto.randomUUID(), content })) }
}

/** A field of an event, as the test expects it. */
export const part = <T>(payload: { [key: string]: unknown }, name: string): T => payload[name] as T

/** The messages that a person heard of a conversation, in the order heard. */
export const heardMessages = (person: Person, conversationId: string): Message[] =>
  person.heard
    .filter(({ event, payload }) => event === 'messages:created' && payload.conversationId === conversationId)
    .flatMap(({ payload }) => part<Message[]>(payload, 'messages'))

export const hearsText = (person: Person, content: string) =>
  person.hears('messages:created', (payload) =>
    part<Message[]>(payload, 'messages').some((message) => message.content === content),
  )

/** What was on its way to this socket has arrived when this settles, since a socket keeps its order. */
export const caughtUp = (person: Person): Promise<unknown> => person.ask('conversation:list', {})

export interface StoredRow {
  id: string
  seq: number
  client_id: string
  content: string
}

/** The rows of a conversation as the database has them; fails where its order has a gap or a client id is there twice. */
export async function storedMessages(database: Database, conversationId: string): Promise<StoredRow[]> {
  const rows = await database.query(
    sql<StoredRow>`select id, seq, client_id, content from messages where conversation_id = ${conversationId} order by seq`,
  )
  assert.deepEqual(
    rows.map(({ seq }) => seq),
    rows.map((_, i) => i + 1),
    'the order has a gap',
  )
  assert.equal(new Set(rows.map(({ client_id }) => client_id)).size, rows.length, 'a message was stored twice')
  return rows
}

/** The client holds the conversation's newest rows as the database has them, at least `atLeast` of them. */
export function holds(client: Client, conversationId: string, rows: StoredRow[], atLeast: number): boolean {
  const copy = client.store.get(conversationId)
  if (!copy || copy.messages.length < Math.min(atLeast, rows.length)) return false
  const tail = rows.slice(-copy.messages.length)
  return (
    tail.length === copy.messages.length &&
    tail.every(({ id, seq }, i) => copy.messages[i]?.id === id && copy.messages[i]?.seq === seq)
  )
}

/** The servers run, and nothing went wrong in them that they did not expect. */
export function assertSound(...nodes: TestServer[]): void {
  for (const node of nodes) {
    assert.ok(node.process.exitCode === null && node.process.signalCode === null, `the server ended: ${node.output()}`)
    const alarming = node
      .output()
      .split('\n')
      .filter((line) => /"level":[56]0|rejection|^\s+at /.test(line))
    assert.deepEqual(alarming, [])
  }
}
