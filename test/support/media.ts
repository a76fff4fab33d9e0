import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RequestHandler } from 'express'
import { sql } from 'kysely'
import { pino } from 'pino'
import S3rver from 's3rver'
import { createDiskStore } from '../../src/adapters/disk.ts'
import { createFileInspector } from '../../src/adapters/file-inspector.ts'
import { createS3Store } from '../../src/adapters/s3.ts'
import { createImageMaker } from '../../src/adapters/sharp.ts'
import { run } from '../../src/database/database.ts'
import { createDomainEvents } from '../../src/kernel/domain-events.ts'
import { newId } from '../../src/kernel/ids.ts'
import { createMetrics } from '../../src/kernel/metrics.ts'
import type { ObjectStore } from '../../src/kernel/ports.ts'
import { createMedia, type MediaDependencies } from '../../src/media/index.ts'
import type { Attachment, Storage } from '../../src/media/media.contract.ts'
import { createTestClock, createTestJobs } from './billing.ts'
import { openTestDatabase, type TestDatabase } from './database.ts'
import { serveHttp } from './http.ts'

/** A store of objects, and what is in it. */
export interface TestStore {
  store: ObjectStore
  keys(): Promise<string[]>
  close(): Promise<void>
}

export const stores: Record<'disk' | 'S3', () => Promise<TestStore>> = { disk: startDisk, S3: startS3 }

/** Every file below the folder, by its path in it. */
export async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

async function startDisk(): Promise<TestStore> {
  const folder = await mkdtemp(join(tmpdir(), 'kintsugi-media-'))
  return {
    store: createDiskStore(folder),
    keys: () => filesIn(folder),
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

/** A server that speaks S3, with one bucket. */
export async function startS3Server() {
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-s3-'))
  const bucket = 'media'
  const server = new S3rver({
    ...{ port: 0, address: '127.0.0.1', silent: true, directory, configureBuckets: [{ name: bucket }] },
  })
  const { port } = await server.run()
  // the one key that this server knows
  const credentials = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' }
  return {
    options: { bucket, region: 'us-east-1', endpoint: `http://127.0.0.1:${port}`, credentials, forcePathStyle: true },
    /** It keeps an object as three files, of which one has the bytes. */
    keys: async () =>
      (await filesIn(join(directory, bucket))).flatMap((name) => {
        const [, key] = /^(.+)\._S3rver_object$/.exec(name) ?? []
        return key ? [key] : []
      }),
    async close() {
      await server.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function startS3(): Promise<TestStore> {
  const server = await startS3Server()
  const store = await createS3Store(server.options)
  return {
    store,
    keys: server.keys,
    async close() {
      store.close()
      await server.close()
    },
  }
}

interface Refused {
  status: number
  code: string
  detail: string
}

/** Everything that uploads leave somewhere. */
export interface Remains {
  attachments: number
  objects: string[]
  usage: number
  stored: string[]
  scratch: string[]
}

/** A store that stands still at one of its doings, from when it begins until it may go on. */
export function stalled(doing: 'put' | 'remove') {
  const begun = Promise.withResolvers<void>()
  const mayGo = Promise.withResolvers<void>()
  return {
    begun: begun.promise,
    goOn: () => mayGo.resolve(),
    around: (store: ObjectStore): ObjectStore => ({
      ...store,
      async [doing](...how: never) {
        begun.resolve()
        await mayGo.promise
        await (store[doing] as (...how: never) => Promise<void>)(...how)
      },
    }),
  }
}

/**
 * The media feature on a database and a store of its own, served over HTTP in this process; a bearer token is the id of a
 * user. Jobs run when the test says so, and what refers to attachments is a table of the test's.
 */
export async function startMedia(
  options: {
    store?: TestStore
    on?: TestDatabase
    config?: Partial<MediaDependencies['config']>
    maxPixels?: number
    /** Puts something between media and its store. */
    around?: (store: ObjectStore) => ObjectStore
  } = {},
) {
  const kept = options.store ?? (await startDisk())
  const { database, close } = options.on ?? (await openTestDatabase())
  const scratch = await mkdtemp(join(tmpdir(), 'kintsugi-scratch-'))
  const { clock, set, advance } = createTestClock()
  const { jobs, queued, runJob } = createTestJobs()
  const events = createDomainEvents()
  const metrics = createMetrics()
  const inspector = createFileInspector()
  const images = createImageMaker({ maxPixels: options.maxPixels ?? 4_000_000 })
  const megabyte = 1024 * 1024
  const media = createMedia({
    database,
    config: {
      maxBytes: { image: 2 * megabyte, video: 3 * megabyte, audio: 3 * megabyte, file: 3 * megabyte },
      ...{
        quotaBytes: 100 * megabyte,
        urlSeconds: 600,
        publicUrl: undefined,
        secret: 'a secret of the tests',
        scratch,
      },
      ...options.config,
    },
    store: options.around?.(kept.store) ?? kept.store,
    inspector,
    images,
    ...{ events, jobs, metrics, clock },
    log: pino({ level: 'silent' }),
  })
  await database.query(sql`create table test_uses (attachment_id uuid not null, seen_by uuid)`)
  media.attachments.declareUse({
    usedAmong: async (em, ids) => {
      const rows = await run(
        em,
        sql<{ id: string }>`select attachment_id as id from test_uses where attachment_id = any (${ids}::uuid[])`,
      )
      return rows.map(({ id }) => id)
    },
    isVisibleTo: async (userId, id) => {
      const rows = await database.query(sql`select from test_uses where attachment_id = ${id} and seen_by = ${userId}`)
      return rows.length > 0
    },
  })
  const bearerAuthentication: RequestHandler = (req, _res, next) => {
    const userId = req.get('authentication-of')
    const actor = { userId, kind: 'human', sessionId: newId(), role: 'user' }
    if (userId) Object.assign(req, { authentication: { actor } })
    next()
  }
  const http = await serveHttp({ routes: media.routes, bearerAuthentication, scratch })

  const ask = async (as: string, path: string, init: RequestInit = {}): Promise<Response> =>
    await fetch(new URL(path, http.url), { ...init, headers: { ...init.headers, 'authentication-of': as } })

  async function send(as: string, content: Uint8Array | string, name = 'a file', type = 'application/octet-stream') {
    const form = new FormData()
    form.append('file', new Blob([content as BlobPart], { type }), name)
    return await ask(as, '/v1/uploads', { method: 'POST', body: form })
  }

  return {
    ...{ database, queued, runJob, events, metrics, set, advance, media, ask, send },
    url: http.url,
    scratch,
    logged: http.logged,
    sawCallerGo: http.sawCallerGo,
    keys: kept.keys,

    async user(): Promise<string> {
      const id = newId()
      await database.query(
        sql`insert into users (id, username, display_name) values (${id}, ${randomBytes(8).toString('hex')}, 'Somebody')`,
      )
      return id
    },

    /** An upload that is to succeed. */
    async upload(...sent: Parameters<typeof send>): Promise<Attachment> {
      const response = await send(...sent)
      const body = (await response.json()) as Attachment
      assert.equal(response.status, 201, JSON.stringify(body))
      return body
    },

    /** An upload that is to be refused. */
    async refused(...sent: Parameters<typeof send>): Promise<Refused> {
      const response = await send(...sent)
      const body = (await response.json()) as Refused
      assert.ok(response.status >= 400, JSON.stringify(body))
      return body
    },

    fetch: (address: string | undefined, init?: RequestInit): Promise<Response> =>
      fetch(new URL(address ?? assert.fail('no address'), http.url), init),

    async usage(as: string): Promise<number> {
      return ((await (await ask(as, '/v1/me/storage')).json()) as Storage).usedBytes
    },

    /** Lets something refer to the attachment, as a feature does. */
    use: (ownerId: string, id: string, seenBy?: string) =>
      database.transact(async (em) => {
        await media.attachments.hold(em, ownerId, id)
        await run(em, sql`insert into test_uses values (${id}, ${seenBy ?? null})`)
      }),

    /** Ends what refers to it. */
    async unuse(id: string): Promise<void> {
      const after = await database.transact(async (em) => {
        await run(em, sql`delete from test_uses where attachment_id = ${id}`)
        return await media.attachments.release(em, [id])
      })
      await after()
    },

    /** Takes the bytes of an attachment out of the store, behind everybody's back. */
    async lose(id: string): Promise<void> {
      const [row] = await database.query(
        sql<{ key: string }>`select storage_key as key from attachments where id = ${id}`,
      )
      await kept.store.remove(row?.key ?? assert.fail('no such attachment'))
    },

    /** Lets the attachments and marks of the database look older. */
    age: async (hours: number) => {
      await database.query(sql`update attachments set check_at = check_at - make_interval(hours => ${hours})`)
      await database.query(sql`update media_objects set removing_at = removing_at - make_interval(hours => ${hours})`)
    },

    async remains(): Promise<Remains> {
      const [attachments] = await database.query(sql<{ count: number }>`select count(*)::int as count from attachments`)
      const objects = await database.query(sql<{ key: string }>`select key from media_objects order by key`)
      const [usage] = await database.query(
        sql<{ sum: number }>`select coalesce(sum(bytes), 0)::float8 as sum from media_usage`,
      )
      return {
        attachments: attachments?.count ?? 0,
        objects: objects.map(({ key }) => key),
        usage: usage?.sum ?? 0,
        stored: await kept.keys(),
        scratch: await filesIn(scratch),
      }
    },

    async close() {
      await http.close()
      inspector.close()
      images.close()
      await close()
      await kept.close()
      await rm(scratch, { recursive: true, force: true })
    },
  }
}

export type TestMedia = Awaited<ReturnType<typeof startMedia>>

export const nothing: Remains = { attachments: 0, objects: [], usage: 0, stored: [], scratch: [] }
