import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { pino } from 'pino'
import { createOpenIdClient } from '../../src/adapters/openid.ts'
import { createJobs } from '../../src/adapters/pg-boss.ts'
import type { Session, Tokens } from '../../src/identity/identity.contract.ts'
import { createIdentity } from '../../src/identity/index.ts'
import { createDomainEvents } from '../../src/kernel/domain-events.ts'
import type { Actor, Context } from '../../src/kernel/operation.ts'
import type { Mail } from '../../src/kernel/ports.ts'
import { Reply } from '../../src/kernel/reply.ts'
import { createGuesses } from '../../src/transport/guesses.ts'
import { openTestDatabase } from './database.ts'
import { noAttachments, plainUrls } from './no-media.ts'

export const jwtSecret = randomBytes(32).toString('hex')

export const password = 'correct horse battery'

const context: Context = { requestId: 'test', ip: '192.0.2.1', userAgent: 'test' }

/** The identity feature on a database of its own, called through its operations as a transport calls them. */
export async function startIdentity(
  config: Partial<Parameters<typeof createIdentity>[0]['config']> = {},
  ports: Partial<Pick<Parameters<typeof createIdentity>[0], 'guesses' | 'mailer'>> = {},
) {
  const { database, close } = await openTestDatabase()
  /** The logins whose sockets were ended, in order. */
  const closedSessions: string[] = []
  const logged: string[] = []
  const closedUsers: string[] = []
  /** Mails sent, in order. */
  const mails: Mail[] = []
  const log = pino({}, { write: (line: string) => logged.push(line) })
  const events = createDomainEvents()
  const jobs = createJobs({ store: database.jobStore, log })
  const identity = createIdentity({
    database,
    attachments: noAttachments,
    urls: plainUrls,
    config: {
      jwtSecret,
      accessTokenSeconds: 900,
      passwordHash: { memoryKib: 19_456, iterations: 2 },
      openIdProviders: [],
      telegramBotToken: undefined,
      publicUrl: 'http://localhost:3000',
      corsOrigins: [],
      ...config,
    },
    fanout: {
      closeSessions: (sessionIds) => closedSessions.push(...sessionIds),
      closeUsers: (userIds) => closedUsers.push(...userIds),
      toUsers() {},
    },
    events,
    jobs,
    mailer: { send: async (mail) => void mails.push(mail), close() {} },
    guesses: createGuesses({ enabled: false, shared: undefined }),
    openId: createOpenIdClient(),
    log,
    ...ports,
  })
  await jobs.start()

  /** Parses the input, runs the operation and parses its output, both by the contract. */
  async function call<T>(name: string, input: unknown, actor?: Actor, more: Partial<Context> = {}): Promise<T> {
    const found = identity.routes.find((route) => route.operation.name === name)?.operation
    if (!found) throw new Error(`There is no operation ${name}`)
    const parsed = found.contract.input.parse(input) as never
    const output = await found.run(parsed, { ...context, ...more, actor: actor as Actor })
    return found.contract.output.parse(output instanceof Reply ? output.data : output) as T
  }

  const register = (username: string, more: object = {}): Promise<Session> =>
    call('auth:register', { email: `${username}@example.org`, username, password, ...more })

  const refresh = (refreshToken: string | undefined): Promise<Tokens> => call('auth:refresh', { refreshToken })

  const actorOf = async ({ accessToken }: { accessToken: string }): Promise<Actor> =>
    (await identity.authenticator.authenticate(accessToken)).actor

  const change = (id: string, column: 'banned_at' | 'deleted_at', value: Date | null) =>
    database.query(sql`update users set ${sql.ref(column)} = ${value?.toISOString() ?? null} where id = ${id}`)

  return {
    ...identity,
    database,
    events,
    closedSessions,
    closedUsers,
    mails,
    logged,
    call,
    register,
    refresh,
    actorOf,
    ban: (id: string) => change(id, 'banned_at', new Date()),
    remove: (id: string) => change(id, 'deleted_at', new Date()),
    /** Lets refresh tokens look this many seconds older. */
    age: (seconds: number) =>
      database.query(sql`update refresh_tokens set
        rotated_at = rotated_at - make_interval(secs => ${seconds}),
        expires_at = expires_at - make_interval(secs => ${seconds})`),
    async close() {
      await jobs.stop(1_000)
      await close()
    },
  }
}

export type TestIdentity = Awaited<ReturnType<typeof startIdentity>>

/** For `assert.rejects`: an AppError with this code. */
export const withCode = (code: string) => (error: unknown) => (error as { code?: unknown }).code === code
