import { randomInt } from 'node:crypto'
import { Readable } from 'node:stream'
import { sql } from 'kysely'
import type { Logger } from 'pino'
import { type Connection, type Database, run } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'
import { newId } from '../kernel/ids.ts'
import type { ExportSection, Fanout, Jobs } from '../kernel/ports.ts'
import { type ExportRow, keptHours, presentExport } from './data-export.presenter.ts'
import { archiveParts } from './export-archive.ts'
import { loginEnded } from './identity.errors.ts'
import type { ExportJob } from './own-data.contract.ts'

/** An attempt; what a node that died had begun waits for as long until another one does it. */
const attemptSeconds = 900
/** Longer than all attempts together: what is under way then has been lost. */
const hangHours = 3
/** An export that keeps failing for so long is given up. */
const tryingMinutes = 15
/** Parts of one attempt: with `partBytes` 64 GB, more than `bytes` can count. */
const attemptParts = 2 ** 16
const removedAtOnce = 20

/** The columns of an ExportRow. */
const columns = sql`id, user_id as "userId", status, completed, total, bytes, finished_at as "finishedAt"`

const isThere = sql`status = 'completed' and finished_at > now() - make_interval(hours => ${keptHours})`

export type DataExports = ReturnType<typeof createDataExports>

/**
 * Owns `data_exports`: a user's data as a file for that user, made by a job out of the sections that the features give.
 * Always holds: of a user at most one is under way; a completed one has all parts of one attempt and no others, whatever
 * became of other attempts at it.
 */
export function createDataExports(deps: {
  database: Database
  jobs: Jobs
  fanout: Pick<Fanout, 'toUsers'>
  log: Logger
  /** Read when an export is made; features may add to it until the server takes requests. */
  sections: readonly ExportSection[]
}) {
  const { database, jobs, fanout, log, sections } = deps

  const queue = jobs.define<{ exportId: string }>({
    name: 'data-export',
    expireSeconds: attemptSeconds,
    retries: 6,
    retryDelaySeconds: 15,
    handle: attempt,
  })
  jobs.define({
    name: 'data-export-tidy',
    expireSeconds: 300,
    retries: 0,
    schedule: '*/10 * * * *',
    handle: async () => {
      await failLost()
      await removeOld()
    },
  })

  /** The user's export of the last 24 hours or, where there is none, one that begins now. */
  async function request(userId: string): Promise<ExportJob> {
    const current = await currentOf(database, userId)
    if (current) return presentExport(current)
    const { row, start } = await database.transact(async (em) => {
      // of calls at once the first begins one, and the others find it
      const [user] = await run(
        em,
        sql`select id from users where id = ${userId} and deleted_at is null for no key update`,
      )
      if (!user) throw loginEnded()
      const found = await currentOf(em, userId)
      if (found) return { row: found }
      const [begun] = await run(
        em,
        sql<ExportRow>`
          insert into data_exports (id, user_id, total) values (${newId()}, ${userId}, ${sections.length})
          returning ${columns}`,
      )
      const row = begun as ExportRow
      return { row, start: await queue.enqueue(em, { exportId: row.id }) }
    })
    start?.()
    return presentExport(row)
  }

  /**
   * The file of a completed export, read part by part.
   * @throws AppError not_found, for all but its owner
   */
  async function file(userId: string, exportId: string): Promise<{ bytes: number; stream: Readable }> {
    const [row] = await database.query(sql<{ bytes: number }>`
      select bytes from data_exports where id = ${exportId} and user_id = ${userId} and ${isThere}`)
    if (!row) throw notFound('export')
    return { bytes: row.bytes, stream: Readable.from(contentOf(exportId, row.bytes), { objectMode: false }) }
  }

  async function* contentOf(exportId: string, bytes: number): AsyncGenerator<Buffer> {
    let after = -1
    let left = bytes
    while (left > 0) {
      const [part] = await database.query(sql<{ position: number; content: Uint8Array }>`
        select position, content from data_export_parts where export_id = ${exportId} and position > ${after}
        order by position limit 1`)
      if (!part) throw new Error('An export was removed while it was being read.')
      yield Buffer.from(part.content)
      after = part.position
      left -= part.content.length
    }
  }

  /** Makes the file from the beginning, whatever attempts before this one have left. */
  async function attempt({ exportId }: { exportId: string }, { signal }: { signal: AbortSignal }): Promise<void> {
    const userId = await begin(exportId)
    if (!userId) return
    try {
      await make(exportId, userId, signal)
    } catch (error) {
      // an attempt that is cut off says nothing against the next one
      const given = signal.aborted ? [] : await giveUp(exportId)
      if (given.length === 0) throw error
      log.error({ err: error, exportId }, 'an export was given up')
    }
  }

  /** Undefined where there is nothing to do: it is completed, was given up, or its user is gone. */
  async function begin(exportId: string): Promise<string | undefined> {
    const row = await database.transact(async (em) => {
      const [begun] = await run(
        em,
        sql<ExportRow>`
          update data_exports set status = 'running', completed = 0, total = ${sections.length}
          where id = ${exportId} and status in ('queued', 'running') returning ${columns}`,
      )
      if (begun) await run(em, sql`delete from data_export_parts where export_id = ${exportId}`)
      return begun
    })
    if (row) tell(row)
    return row?.userId
  }

  async function make(exportId: string, userId: string, signal: AbortSignal): Promise<void> {
    // a range of its own: an attempt that was taken for dead may still be writing
    const first = randomInt(2 ** 31 / attemptParts) * attemptParts
    let parts = 0
    let bytes = 0
    let sectionsDone = 0
    const progress = async () => {
      const [row] = await database.query(sql<ExportRow>`
        update data_exports set completed = ${++sectionsDone} where id = ${exportId} and status = 'running'
        returning ${columns}`)
      if (row) tell(row)
    }
    for await (const part of archiveParts(userId, sections, progress)) {
      signal.throwIfAborted()
      if (!(await keep(exportId, first + parts, part))) return
      parts += 1
      bytes += part.length
    }
    const row = await database.transact((em) => complete(em, exportId, { first, parts, bytes }))
    if (row) tell(row)
  }

  /** Says false where nobody waits for the part any more. */
  async function keep(exportId: string, position: number, content: Buffer): Promise<boolean> {
    const kept = await database.query(sql`
      with running as (select id from data_exports where id = ${exportId} and status = 'running' for share)
      insert into data_export_parts (export_id, position, content)
      select id, ${position}::int, ${content}::bytea from running returning position`)
    return kept.length > 0
  }

  /** Has failed what keeps failing; tells so. */
  async function giveUp(exportId: string): Promise<ExportRow[]> {
    return await fail(sql`id = ${exportId} and created_at < now() - make_interval(mins => ${tryingMinutes})`)
  }

  async function failLost(): Promise<void> {
    const lost = await fail(sql`created_at < now() - make_interval(hours => ${hangHours})`)
    for (const { id } of lost) log.error({ exportId: id }, 'an export was lost, and is given up')
  }

  async function fail(which: ReturnType<typeof sql>): Promise<ExportRow[]> {
    const failed = await database.query(sql<ExportRow>`
      with failed as (
        update data_exports set status = 'failed', finished_at = now()
        where status in ('queued', 'running') and ${which} returning ${columns}
      ), dropped as (
        delete from data_export_parts where export_id in (select id from failed)
      )
      select * from failed`)
    for (const row of failed) tell(row)
    return failed
  }

  /** Some at a time: a file is many rows. */
  async function removeOld(): Promise<void> {
    for (let removed = removedAtOnce; removed === removedAtOnce; ) {
      const rows = await database.query(sql`
        delete from data_exports where id in (
          select id from data_exports where finished_at <= now() - make_interval(hours => ${keptHours})
          limit ${removedAtOnce}
        ) returning id`)
      removed = rows.length
    }
  }

  const tell = (row: ExportRow): void => fanout.toUsers([row.userId], 'job:changed', presentExport(row))

  return { request, file }
}

/** The one that is under way or can be fetched. */
async function currentOf(on: Connection | Pick<Database, 'query'>, userId: string): Promise<ExportRow | undefined> {
  const statement = sql<ExportRow>`
    select ${columns} from data_exports where user_id = ${userId} and (status in ('queued', 'running') or ${isThere})
    order by created_at desc limit 1`
  const [row] = 'query' in on ? await on.query(statement) : await run(on, statement)
  return row
}

/** Undefined where another attempt was first. What that one or others have written besides goes. */
async function complete(
  em: Connection,
  exportId: string,
  { first, parts, bytes }: { first: number; parts: number; bytes: number },
): Promise<ExportRow | undefined> {
  const [row] = await run(
    em,
    sql<ExportRow>`
      update data_exports set status = 'completed', completed = total, bytes = ${bytes}, finished_at = now()
      where id = ${exportId} and status = 'running' returning ${columns}`,
  )
  if (!row) return undefined
  const own = sql`position between ${first}::int and ${first + parts - 1}::int`
  await run(em, sql`delete from data_export_parts where export_id = ${exportId} and not (${own})`)
  const [stored] = await run(
    em,
    sql<{ bytes: number }>`
      select coalesce(sum(octet_length(content)), 0)::float8 as bytes from data_export_parts
      where export_id = ${exportId}`,
  )
  if (stored?.bytes !== bytes) throw new Error('A later attempt has taken away parts of this one.')
  return row
}
