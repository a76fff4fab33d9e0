import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { sql } from 'kysely'
import type { Agent, RunCommand, RunInput, RunOutput } from '../../src/agents/agents.contract.ts'
import type { Output } from '../../src/billing/billing.contract.ts'
import { type Database, openDatabase } from '../../src/database/database.ts'
import type { Message } from '../../src/messenger/messenger.contract.ts'
import { ask, makeAgent } from '../support/agents.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { checkInvariants } from '../support/billing.ts'
import { type ModelServer, startModelServer } from '../support/model-server.ts'
import { join, type Person } from '../support/people.ts'

export interface AgentsScene {
  server: Backend
  url: string
  /** Who runs the models, and does what a test says. */
  models: ModelServer
  /** A new person, connected; the socket is closed at the end. */
  person(name?: string): Promise<Person>
  /** Stops the server and opens what it has stored. */
  books(): Promise<Database>
  end(): Promise<void>
}

/** What has a server ask the models `m1` to `m4`, the large `big` and OpenAI's at this address; `m1` is the standard. */
export const modelEnv = (baseUrl: string): Record<string, string> => ({
  ...{ AI_PROVIDERS: 'raw,openai', AI_MODEL: 'm1' },
  ...{ AI_RAW_BASE_URL: baseUrl, AI_RAW_MODELS: 'm1=32000,m2=32000,m3=32000,m4=32000,big=300000' },
  ...{ AI_OPENAI_BASE_URL: baseUrl, AI_OPENAI_API_KEY: 'sk-of-the-tests' },
})

/**
 * A server whose models are those of a model server. Accounts whose name begins with `mocked` are in mock mode, and those
 * with `admin` may ban; agents described as `stranded` are on a model that nobody runs any more. No request brings these
 * about.
 */
export async function startAgentsScene(env: Record<string, string> = {}): Promise<AgentsScene> {
  const models = await startModelServer()
  const folder = process.env['DATABASE_URL'] ? undefined : await mkdtemp(joinPath(tmpdir(), 'kintsugi-agents-'))
  // nobody else opens the embedded database while the server has it
  if (folder) await within({ dataDir: folder }, favour)
  const server = await startBackend({ ...modelEnv(models.url), ...(folder && { DATA_DIR: folder }), ...env })
  const place = folder ? { dataDir: folder } : { url: server.env['DATABASE_URL'] }
  if (!folder) await within(place, favour)
  const people: Person[] = []
  let books: Database | undefined

  return {
    ...{ server, url: server.url, models },
    async person(name) {
      const person = await join(server.url, name)
      people.push(person)
      return person
    },
    async books() {
      assert.equal(await server.stop(), 0, server.output())
      books ??= await open(place)
      return books
    },
    async end() {
      for (const person of people) person.close()
      await server.stop()
      await books?.close()
      await server.end()
      await models.close()
      if (folder) await rm(folder, { recursive: true, force: true })
    },
  }
}

interface Place {
  dataDir?: string
  url?: string | undefined
}

const open = ({ dataDir = '', url }: Place): Promise<Database> =>
  openDatabase({ dataDir, database: { url, pool: 2, statementTimeoutMs: 30_000 } })

async function within(place: Place, work: (database: Database) => Promise<void>): Promise<void> {
  const database = await open(place)
  try {
    await database.migrate()
    await work(database)
  } finally {
    await database.close()
  }
}

async function favour(database: Database): Promise<void> {
  await database.query(sql`
    create function favour() returns trigger language plpgsql as $$ begin
      new.mock_mode_enabled := new.username like 'mocked%';
      if new.username like 'admin%' then new.role := 'admin'; end if;
      return new;
    end $$`)
  await database.query(sql`create trigger favour before insert on users for each row execute function favour()`)
  await database.query(sql`
    create function strand() returns trigger language plpgsql as $$ begin
      if new.description = 'stranded' then new.model_id := 'claude-3-opus'; end if;
      return new;
    end $$`)
  await database.query(sql`create trigger strand before insert on agents for each row execute function strand()`)
}

// What people do

/** Sends a command on answers that must succeed and gives its data. */
export async function order<K extends RunCommand>(person: Person, name: K, input: RunInput<K>): Promise<RunOutput<K>> {
  const ack = await person.ask(name, input)
  assert.ok(ack.ok, `${name}: ${JSON.stringify(ack)}`)
  return ack.data as RunOutput<K>
}

/** A chat with one model, or a comparison of several. */
export const openChat = async (person: Person, ...models: string[]): Promise<string> =>
  (await person.do('conversation:create', { type: 'assistant', models })).id

/** A built-in agent of that person's, public unless otherwise said. */
export const builtIn = (url: string, owner: Person, input: object = {}): Promise<Agent> =>
  makeAgent(url, owner, { kind: 'built_in', isPublic: true, ...input })

/** A direct conversation with an agent. */
export const writeTo = async (person: Person, agent: Pick<Agent, 'id'>): Promise<string> =>
  (await person.do('conversation:create', { type: 'direct', participantIds: [agent.id] })).id

/** A group of one person, agents and others. */
export const gather = async (owner: Person, ...others: { id: string }[]): Promise<string> => {
  const participantIds = others.map(({ id }) => id)
  return (await owner.do('conversation:create', { type: 'group', title: 'A group', participantIds })).id
}

export const say = (person: Person, conversationId: string, content: string, more: { replyToId?: string } = {}) =>
  person.do('message:send', { conversationId, clientId: randomUUID(), content, ...more })

// What they see

const messagesIn = (payload: unknown): Message[] => (payload as { messages: Message[] }).messages

/** The answers in a conversation that a person has heard begin, in order of `seq`. */
export const answersIn = (person: Person, conversationId: string): Message[] =>
  person.heard
    .filter(({ event }) => event === 'messages:created')
    .flatMap(({ payload }) => messagesIn(payload))
    .filter((message) => message.conversationId === conversationId && message.role === 'assistant')
    .toSorted((one, other) => one.seq - other.seq)

/** What people hear of answers may take longer than news: a model is asked in between, and tokens are counted. */
const hearsInTime = (person: Person, ...what: Parameters<Person['hears']>): ReturnType<Person['hears']> =>
  person.hears(...what).catch(() => person.hears(...what))

/** The answer of that number in a conversation, from 1, as it began. */
export async function begun(person: Person, conversationId: string, number = 1): Promise<Message> {
  await hearsInTime(person, 'messages:created', () => answersIn(person, conversationId).length >= number)
  return answersIn(person, conversationId)[number - 1] as Message
}

/** A message that grew, as it ended: the person hears it. */
export async function ended(person: Person, { id, status, ...rest }: Message): Promise<Message> {
  if (status !== 'streaming') return { id, status, ...rest }
  const isEnd = (message: Message): boolean => message.id === id && message.status !== 'streaming'
  const payload = await hearsInTime(person, 'messages:updated', (news) => messagesIn(news).some(isEnd))
  return messagesIn(payload).find(isEnd) as Message
}

/** The answer of that number in a conversation, from 1, as it ended. */
export const answerTo = async (person: Person, conversationId: string, number = 1): Promise<Message> =>
  ended(person, await begun(person, conversationId, number))

export interface Delta {
  messageId: string
  offset: number
  text: string
}

export const deltasOf = (person: Person, messageId: string): Delta[] =>
  person.heard
    .filter(({ event, payload }) => event === 'stream:delta' && payload['messageId'] === messageId)
    .map(({ payload }) => payload as unknown as Delta)

/** What the deltas of a message come to: each goes on where the one before it ended. */
export function told(person: Person, messageId: string): string {
  let text = ''
  for (const delta of deltasOf(person, messageId)) {
    assert.equal(delta.offset, text.length, 'a delta goes on where the one before it ended')
    text += delta.text
  }
  return text
}

export const walletOf = async (url: string, person: Person): Promise<Output<'wallet:get'>> =>
  (await ask<Output<'wallet:get'>>(url, person.session.accessToken, 'GET', '/me/wallet')).body

/** What a person has spent, by the usage log. */
export const usageOf = async (url: string, person: Person): Promise<Output<'usage:get'>> =>
  (await ask<Output<'usage:get'>>(url, person.session.accessToken, 'GET', '/me/usage?groupBy=model')).body

/** What a model was shown by the request of that number, from 1: first who it is, then the turns. */
export const shownBy = async (models: ModelServer, number: number): Promise<{ role: string; content: string }[]> =>
  (await models.request(number)).body['messages'] as { role: string; content: string }[]

// What is stored

/** A run as the books have it. */
export interface Entry {
  messageId: string
  status: Message['status']
  error: string | null
  content: string
  run: 'running' | 'succeeded' | 'failed' | 'cancelled'
  /** Null: it was not metered. */
  reservation: 'open' | 'settled' | 'cancelled' | null
  /** Tokens. */
  charged: number | null
}

/** Every run by its message, after checking what must hold of all of them together once nothing is being written. */
export async function readBooks(database: Pick<Database, 'query'>): Promise<Map<string, Entry>> {
  const entries = await database.query(
    sql<Entry & { deleted: boolean }>`
      select r.message_id as "messageId", m.status, m.error_code as error, to_json(m.content) as content, r.status as run,
        v.status as reservation, v.charged_tokens::int as charged, coalesce(m.deleted_at, c.deleted_at) is not null as deleted
      from agent_runs r join messages m on m.conversation_id = r.conversation_id and m.id = r.message_id
      join conversations c on c.id = r.conversation_id
      left join meter_reservations v on v.id = r.reservation_id
      order by r.created_at, r.message_id`,
  )
  const ends = { sent: 'succeeded', failed: 'failed', cancelled: 'cancelled', streaming: 'running' }
  for (const { deleted, ...entry } of entries) {
    assert.notEqual(entry.run, 'running', `a run did not end: ${JSON.stringify(entry)}`)
    assert.notEqual(entry.reservation, 'open', `a reservation is open: ${JSON.stringify(entry)}`)
    if (!deleted) assert.equal(entry.run, ends[entry.status], JSON.stringify(entry))
  }
  const [totals] = await database.query(
    sql<Record<string, number>>`
      select
        (select count(*)::int from message_triggers) as questions,
        (select count(*)::int from messages m join conversations c on c.id = m.conversation_id
          where m.status = 'streaming' and m.deleted_at is null and c.deleted_at is null) as growing,
        (select count(*)::int from meter_reservations v
          where not exists (select from agent_runs r where r.reservation_id = v.id)) as strays,
        (select count(*)::int from meter_reservations where status = 'settled')
          - (select count(*)::int from usage_logs) as "unlogged",
        (select count(*)::int from (
          select w.user_id from wallets w left join meter_reservations v on v.user_id = w.user_id
          group by w.user_id, w.tokens_used having count(v.hold_id) = 0 and w.tokens_used <> coalesce(sum(v.charged_tokens), 0)
        ) wrong) as "miscounted"`,
  )
  assert.deepEqual(totals, { questions: 0, growing: 0, strays: 0, unlogged: 0, miscounted: 0 })
  await checkInvariants(database)
  return new Map(entries.map(({ deleted: _, ...entry }) => [entry.messageId, entry]))
}
