import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { pino } from 'pino'
import { createModels } from '../../src/billing/models.service.ts'
import { run } from '../../src/database/database.ts'
import { createUsers } from '../../src/identity/users.service.ts'
import { createDomainEvents } from '../../src/kernel/domain-events.ts'
import { newId } from '../../src/kernel/ids.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import type { Context } from '../../src/kernel/operation.ts'
import type { ConversationEvent, ExportSection, Fanout } from '../../src/kernel/ports.ts'
import { createMessenger } from '../../src/messenger/index.ts'
import type { CommandInput, CommandOutput, Message, MessengerCommand } from '../../src/messenger/messenger.contract.ts'
import { createTestJobs } from './billing.ts'
import { openTestDatabase } from './database.ts'
import { noAttachments, plainUrls } from './no-media.ts'

/** News as it was handed to the sockets. */
export interface Told {
  event: string
  /** The conversation whose people hear it, or else the users. */
  to: string | string[]
  payload: Record<string, unknown>
}

const context: Omit<Context, 'request'> = { requestId: 'test', ip: '192.0.2.1', userAgent: 'test' }

/**
 * The messenger on a database of its own, called through its operations as a transport calls them: for what no client can
 * do, such as answering as a model does. Models of OpenAI and Anthropic can be asked.
 */
export async function startMessenger() {
  const { database, url, close } = await openTestDatabase()
  const { jobs, runJob } = createTestJobs()
  const events = createDomainEvents()
  const told: Told[] = []
  const sections = new Map<string, ExportSection>()
  const fanout = {
    toConversations: async (news: ConversationEvent[]) => {
      for (const { event, conversationId, payload } of news) tell(event, conversationId, payload)
    },
    toUsers: (userIds: string[], event: string, payload: unknown) => tell(event, userIds, payload),
    join: () => {},
    leave: async () => {},
    dissolve: async () => {},
  } as unknown as Fanout
  const tell = (event: string, to: string | string[], payload: unknown) =>
    void told.push({ event, to, payload: structuredClone(payload) as Told['payload'] })
  const messenger = createMessenger({
    ...{ database, fanout, events, jobs, attachments: noAttachments, urls: plainUrls },
    presence: { onlineAmong: async () => new Set() },
    users: createUsers(database, plainUrls),
    models: createModels({ database, providers: ['openai', 'anthropic'] }),
    addExportSection: (section) => void sections.set(section.name, section),
    metrics: createMetrics(),
    log: pino({ level: 'silent' }),
    maxGroupSize: 10,
  })

  async function call<K extends MessengerCommand>(
    as: string,
    name: K,
    input: CommandInput<K>,
  ): Promise<CommandOutput<K>> {
    const found = messenger.commands.find((command) => command.name === name)
    assert.ok(found && found.access === 'user', `there is no operation ${name}`)
    const parsed = found.contract.input.parse(input) as never
    const actor = { userId: as, kind: 'human', sessionId: newId(), role: 'user' } as const
    return (await found.run(parsed, { ...context, actor } as never)) as CommandOutput<K>
  }

  async function user(kind: 'human' | 'agent'): Promise<{ id: string; username: string }> {
    const [id, username] = [newId(), `${kind}_${randomBytes(6).toString('hex')}`]
    await database.query(
      sql`insert into users (id, kind, username, display_name) values (${id}, ${kind}, ${username}, 'Somebody')`,
    )
    return { id, username }
  }

  return {
    ...{ database, url, events, told, onAsked: messenger.onAsked, runJob, call },
    ...{ replyToStory: messenger.replyToStory, peersOf: messenger.peersOf, streams: messenger.streams },
    person: () => user('human'),
    agent: () => user('agent'),
    send: (as: string, conversationId: string, content: string, more: Partial<CommandInput<'message:send'>> = {}) =>
      call(as, 'message:send', { conversationId, clientId: randomUUID(), content, ...more }),
    historyOf: async (as: string, conversationId: string): Promise<Message[]> =>
      (await call(as, 'message:history', { conversationId, limit: 200 })).messages,
    /** Stores a message as a model answers; gives its id. */
    async answer(conversationId: string, modelId: string, content: string, more: Partial<Answer> = {}) {
      const id = newId()
      const { status = 'sent', replyToId = null } = more
      await database.transact(async (em) => {
        const [row] = await run(
          em,
          sql<{ last_seq: number; last_change: number }>`
            update conversations set last_seq = last_seq + 1, last_change = last_change + 1
            where id = ${conversationId} returning last_seq, last_change`,
        )
        assert.ok(row)
        await run(
          em,
          sql`insert into messages (conversation_id, id, seq, change, created_change, role, content, reply_to_id, status,
              model_id, input_tokens, output_tokens, credits, processing_time_ms, created_at)
            values (${conversationId}, ${id}, ${row.last_seq}, ${row.last_change}, ${row.last_change}, 'assistant',
              ${content}, ${replyToId}, ${status}, ${modelId}, 12, 34, 5, 678, date_trunc('milliseconds', now()))`,
        )
      })
      return id
    },
    /** What the export of the user's data has in this section. */
    async exported(section: string, userId: string): Promise<Record<string, unknown>[]> {
      const rows: object[] = []
      for await (const row of sections.get(section)?.rows(userId) ?? []) rows.push(row)
      return rows as Record<string, unknown>[]
    },
    async close() {
      await messenger.close()
      await close()
    },
  }
}

interface Answer {
  status: Message['status']
  replyToId: string
}

export type TestMessenger = Awaited<ReturnType<typeof startMessenger>>
