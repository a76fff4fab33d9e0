import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as pathOf } from 'node:path'
import { pino } from 'pino'
import { type App, createApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import type { Story, StoryRing } from '../../src/stories/stories.contract.ts'
import { ask } from '../support/agents.ts'
import { createDatabase } from '../support/backend.ts'
import { createTestClock } from '../support/billing.ts'
import { join, type Person } from '../support/people.ts'
import { jwtSecret } from '../support/server.ts'
import { migratedFolder } from '../support/template.ts'
import { objectsIn, upload } from '../support/uploads.ts'

/** A person with an account, connected to one of the nodes, whose requests go to that one. */
export interface Teller extends Person {
  url: string
  call<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ status: number; body: T & { code?: string } }>
  /** The same requests at another node. */
  at(url: string): Pick<Teller, 'call' | 'rings'>
  /** Tells a story, which must succeed. */
  tell(input: object): Promise<Story>
  /** Uploads an image and gives its id. */
  image(): Promise<string>
  rings(): Promise<StoryRing[]>
}

/**
 * Nodes in this process, whose time stands still unless the test moves it: two that share PostgreSQL, Redis and the folder of
 * media where the environment names both, else one on the embedded database.
 */
export async function startNodes() {
  const { DATABASE_URL, REDIS_URL } = process.env
  const isShared = Boolean(DATABASE_URL && REDIS_URL)
  const folder = DATABASE_URL ? await mkdtemp(pathOf(tmpdir(), 'kintsugi-stories-')) : await migratedFolder()
  const database = DATABASE_URL ? await createDatabase(DATABASE_URL) : undefined
  const { clock, set, advance } = createTestClock()
  const logged: string[] = []
  const apps: App[] = []
  const urls: string[] = []
  for (let node = 0; node < (isShared ? 2 : 1); node += 1) {
    const config = loadConfig({
      ...{ HOST: '127.0.0.1', PORT: '0', DATA_DIR: folder, JWT_SECRET: jwtSecret, RATE_LIMITS: 'off' },
      ...(database && { DATABASE_URL: database.url, DATABASE_POOL: '5' }),
      ...(isShared && database && { REDIS_URL, REDIS_PREFIX: database.name }),
    })
    const app = await createApp(config, pino({}, { write: (line: string) => void logged.push(line) }), clock)
    apps.push(app)
    urls.push(`http://127.0.0.1:${await app.listen()}`)
  }
  let joined = 0

  async function person(name = 'somebody'): Promise<Teller> {
    const url = urls[joined++ % urls.length] ?? ''
    const someone = await join(url, name)
    const token = someone.session.accessToken
    const at: Teller['at'] = (node) => {
      const call: Teller['call'] = (method, path, body) => ask(node, token, method, path, body)
      const rings = async () => {
        const { status, body } = await call<{ items: StoryRing[] }>('GET', '/stories?limit=100')
        assert.equal(status, 200, JSON.stringify(body))
        return body.items
      }
      return { call, rings }
    }
    const { call, rings } = at(url)
    return {
      ...{ ...someone, url, at, call, rings },
      image: async () => (await upload(url, token)).id,
      async tell(input) {
        const { status, body } = await call<Story>('POST', '/stories', input)
        assert.equal(status, 201, JSON.stringify(body))
        return body
      },
    }
  }

  return {
    ...{ urls, advance, set, now: clock },
    person,
    /** New people, in turn at the nodes; the first has a direct conversation with each of the others. */
    async friends<N extends string[]>(...names: N): Promise<{ [K in keyof N]: Teller }> {
      const people = await Promise.all(names.map(person))
      const [first, ...others] = people
      for (const { id } of others) await first?.do('conversation:create', { type: 'direct', participantIds: [id] })
      return people as { [K in keyof N]: Teller }
    },
    /** Has staff ban somebody, or take the ban back. */
    async ban({ id }: { id: string }, method: 'POST' | 'DELETE' = 'POST'): Promise<void> {
      const admin = await person('admin')
      await apps[0]?.appointAdmin({ username: admin.username, choosePassword: async () => '' })
      const { status } = await admin.call(method, `/admin/users/${id}/ban`, method === 'POST' ? { reason: 'x' } : {})
      assert.equal(status, 200)
    },
    /** Has the job run that removes what has ended: it runs at once when somebody deletes their account. */
    async tidy(): Promise<void> {
      const leaver = await person('leaver')
      const { status, body } = await leaver.call('DELETE', '/me', { password: 'correct horse' })
      assert.equal(status, 204, JSON.stringify(body))
    },
    /** What is kept on the disk. */
    objects: () => objectsIn(folder),
    /** What was logged as a fault. */
    faults: () => logged.filter((line) => /"level":[56]0/.test(line)),
    async close() {
      for (const app of apps) await app.close()
      await database?.drop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export type Nodes = Awaited<ReturnType<typeof startNodes>>
