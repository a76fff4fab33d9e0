import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { sql } from 'kysely'
import { pino } from 'pino'
import { createDataExports } from '../../src/identity/data-exports.service.ts'
import type { ExportJob } from '../../src/identity/own-data.contract.ts'
import { AppError } from '../../src/kernel/errors.ts'
import type { Actor } from '../../src/kernel/operation.ts'
import type { ExportSection, Jobs } from '../../src/kernel/ports.ts'
import type { Reply } from '../../src/kernel/reply.ts'
import { messengerSections } from '../../src/messenger/own-data.ts'
import { eventually } from '../faults/scene.ts'
import { api, cast, historyOf, openDirect, openGroup, send } from '../messenger/scene.ts'
import { unzip } from '../support/archive.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { startIdentity, type TestIdentity, withCode } from '../support/identity.ts'
import type { Person } from '../support/people.ts'

let identity: TestIdentity
before(async () => {
  identity = await startIdentity()
  for (const section of messengerSections(identity.database)) identity.addExportSection(section)
})
after(() => identity.close())

const newActor = async (name: string): Promise<Actor> => identity.actorOf(await identity.register(name))

const request = (actor: Actor): Promise<ExportJob> => identity.call('me:export', {}, actor)

async function completed(actor: Actor): Promise<Required<ExportJob>> {
  let job = await request(actor)
  await eventually('the export is completed', async () => {
    job = await request(actor)
    assert.notEqual(job.status, 'failed')
    return job.status === 'completed'
  })
  return job as Required<ExportJob>
}

/** The bytes that the file's operation gives. */
async function fileOf({ jobId }: { jobId: string }, actor: Actor): Promise<Buffer> {
  const route = identity.routes.find(({ operation }) => operation.name === 'me:export-file')
  const context = { actor, requestId: 'test', ip: '192.0.2.1', userAgent: undefined }
  const { options } = (await route!.operation.run({ jobId } as never, context)) as Reply
  return buffer(options.stream!)
}

const contentOf = async (actor: Actor) => unzip(await fileOf(await completed(actor), actor))

const countOf = async (table: string, exportId: string): Promise<number> => {
  const key = sql.ref(table === 'data_exports' ? 'id' : 'export_id')
  const [row] = await identity.database.query(sql<{ count: number }>`
    select count(*)::int as count from ${sql.table(table)} where ${key} = ${exportId}`)
  return row!.count
}

/** Lets an export look this many minutes older. */
const age = (jobId: string, minutes: number) =>
  identity.database.query(sql`
    update data_exports set created_at = created_at - make_interval(mins => ${minutes}),
      finished_at = finished_at - make_interval(mins => ${minutes}) where id = ${jobId}`)

describe('the file', () => {
  test('holds what the server knows of the account, and no secret', async () => {
    const session = await identity.register('known', { locale: 'ko', displayName: 'Known 알려진' })
    const actor = await identity.actorOf(session)
    await identity.refresh(session.refreshToken)
    const { database } = identity
    await database.query(sql`insert into user_identities (provider, provider_user_id, user_id, profile)
      values ('google', '1234', ${actor.userId}, '{"name":"Known at Google"}')`)
    await database.query(
      sql`insert into user_preferences (user_id, theme, timezone) values (${actor.userId}, 'dark', 'Asia/Seoul')`,
    )
    await database.query(sql`insert into user_activity (user_id, day) select ${actor.userId}, d::date
      from generate_series('2026-01-01'::timestamp, '2026-12-31', '1 day') d on conflict do nothing`)

    const archive = await fileOf(await completed(actor), actor)
    const files = await unzip(archive)
    const [profile] = files.json('profile') as Record<string, unknown>[]
    assert.deepEqual(
      [profile?.id, profile?.username, profile?.email, profile?.displayName, profile?.locale],
      [actor.userId, 'known', 'known@example.org', 'Known 알려진', 'ko'],
    )
    assert.partialDeepStrictEqual(files.json('preferences'), [{ theme: 'dark', timezone: 'Asia/Seoul' }])
    assert.partialDeepStrictEqual(files.json('identities'), [
      { provider: 'google', providerUserId: '1234', profile: { name: 'Known at Google' } },
    ])
    const sessions = files.json('sessions') as { id: string; device: { ip: string } }[]
    assert.deepEqual(
      sessions.map(({ id, device }) => [id, device.ip]),
      [[actor.sessionId, '192.0.2.1']],
    )
    const days = (files.json('activity') as { day: string }[])
      .map(({ day }) => day)
      .filter((day) => day.startsWith('2026'))
    assert.equal(days.length, 365)
    assert.deepEqual([days[0], days.at(-1)], ['2026-01-01', '2026-12-31'])

    const [row] = await database.query(sql<{ secrets: string[] }>`
      select array[u.password_hash] || array_agg(encode(t.token_hash, 'hex')) || array_agg(encode(t.token_hash, 'base64')) as secrets
      from users u join refresh_tokens t on t.user_id = u.id where u.id = ${actor.userId} group by u.id`)
    assert.ok(row!.secrets.length >= 5)
    for (const secret of [...row!.secrets, session.refreshToken!, session.accessToken])
      for (const [name, text] of files.texts) assert.ok(!text.includes(secret), `${name} holds a secret`)
    for (const [name, text] of files.texts) assert.ok(!/argon2|hash"/i.test(text), name)
  })

  test('says in a README what each file is, and has all files also for someone new', async () => {
    const actor = await newActor('newcomer')
    const files = await contentOf(actor)
    const readme = files.texts.get('README.txt')!
    const names = [...files.texts.keys()].filter((name) => name !== 'README.txt')
    assert.deepEqual(names.toSorted(), [
      'activity.json',
      'blocks.json',
      'conversations.json',
      'identities.json',
      'messages.json',
      'preferences.json',
      'profile.json',
      'reactions.json',
      'receipts.json',
      'sessions.json',
    ])
    for (const name of names) assert.ok(readme.includes(name), name)
    for (const name of ['messages', 'conversations', 'preferences', 'reactions']) assert.deepEqual(files.json(name), [])
  })

  test('is for its owner alone, and there only once it is completed', async () => {
    const owner = await newActor('owner')
    const stranger = await newActor('stranger')
    const job = await completed(owner)
    assert.equal((await fileOf(job, owner)).length, job.result.bytes)
    await assert.rejects(fileOf(job, stranger), withCode('not_found'))
    await assert.rejects(fileOf({ jobId: randomUUID() }, owner), withCode('not_found'))
    await identity.database.query(sql`update data_exports set status = 'running' where id = ${job.jobId}`)
    await assert.rejects(fileOf(job, owner), withCode('not_found'))
  })

  test('goes after 24 hours, and another one can be had', async () => {
    const actor = await newActor('yesterday')
    const first = await completed(actor)
    assert.equal(Date.parse(first.result.expiresAt) > Date.now() + 86_000_000, true)
    await age(first.jobId, 24 * 60 - 1)
    assert.equal((await request(actor)).jobId, first.jobId)
    await age(first.jobId, 1)
    await assert.rejects(fileOf(first, actor), withCode('not_found'))
    const second = await completed(actor)
    assert.notEqual(second.jobId, first.jobId)

    const { tidy } = bareExports([])
    await tidy()
    assert.equal(await countOf('data_exports', first.jobId), 0)
    assert.equal(await countOf('data_export_parts', first.jobId), 0)
    assert.equal(await countOf('data_exports', second.jobId), 1)
    assert.equal((await fileOf(second, actor)).length, second.result.bytes)
  })
})

describe('an export', () => {
  test('is begun once, however many ask at the same moment', async () => {
    const actor = await newActor('impatient')
    const jobs = await Promise.all(Array.from({ length: 20 }, () => request(actor)))
    assert.equal(new Set(jobs.map(({ jobId }) => jobId)).size, 1)
    const [rows] = await identity.database.query(sql<{ count: number }>`
      select count(*)::int as count from data_exports where user_id = ${actor.userId}`)
    assert.equal(rows?.count, 1)
    assert.equal((await completed(actor)).jobId, jobs[0]?.jobId)
  })

  test('has memory for no more than a page and a part, however much there is', async () => {
    const actor = await newActor('talkative')
    const conversationId = await aConversation(actor.userId, 20_000)
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const used = () => {
      collect()
      const { heapUsed, arrayBuffers } = process.memoryUsage()
      return heapUsed + arrayBuffers
    }
    let parts = 0
    let most = 0
    const start = used()
    const { exports, make } = bareExports(messengerSections(identity.database), {
      /** Each part passes here. */
      onPart: () => {
        parts += 1
        if (parts % 8 === 0) most = Math.max(most, used())
      },
    })
    const job = await exports.request(actor.userId)
    await make(job.jobId)
    const { bytes, stream } = await exports.file(actor.userId, job.jobId)
    // texts of random letters: little of them can be squeezed out
    assert.ok(bytes > 20_000_000 && parts > 20, `${bytes} bytes in ${parts} parts`)
    assert.ok(most - start < 15_000_000, `${Math.round((most - start) / 1e6)} MB more`)

    const rows = (await unzip(await buffer(stream))).json('messages') as { seq: number; conversationId: string }[]
    assert.equal(rows.length, 20_000)
    assert.ok(rows.every((row, i) => row.seq === i + 1 && row.conversationId === conversationId))
  })

  test('that was cut off half-way is made anew, whatever the first attempt still writes', async () => {
    const actor = await newActor('cut-off')
    const texts = Array.from({ length: 2 }, () => ({ early: randomText(3_000_000), late: randomText(2_000_000) }))
    const gates = [gate(), gate()]
    let attempts = 0
    const { exports, make, told } = bareExports([
      sectionOf('noise', async function* () {
        const attempt = attempts++
        yield { text: texts[attempt]?.early }
        await gates[attempt]?.passed
        yield { text: texts[attempt]?.late }
      }),
    ])
    const { jobId } = await exports.request(actor.userId)
    const first = make(jobId)
    await eventually('parts are there', async () => (await countOf('data_export_parts', jobId)) >= 2)
    // as far as the queue can tell the first attempt is dead; it is only slow
    const second = make(jobId)
    await eventually('the second has begun', () => told.filter(({ status }) => status === 'running').length === 2)
    await eventually('it is as far', async () => (await countOf('data_export_parts', jobId)) >= 2)
    gates[0]?.open()
    await assert.rejects(first, /A later attempt/)
    assert.equal((await exports.request(actor.userId)).status, 'running')
    gates[1]?.open()
    await second

    const job = await exports.request(actor.userId)
    assert.equal(job.status, 'completed')
    const { bytes, stream } = await exports.file(actor.userId, jobId)
    const archive = await buffer(stream)
    assert.deepEqual([archive.length, bytes], [job.result?.bytes, job.result?.bytes])
    assert.deepEqual((await unzip(archive)).json('noise'), [{ text: texts[1]?.early }, { text: texts[1]?.late }])
    const [stored] = await identity.database.query(sql<{ bytes: number }>`
      select sum(octet_length(content))::float8 as bytes from data_export_parts where export_id = ${jobId}`)
    assert.equal(stored?.bytes, bytes, 'parts of another attempt are left')
  })

  test('has the files of a section in a folder of their own, byte by byte, and leaves out what has gone since', async () => {
    const actor = await newActor('collector')
    const large = randomBytes(5_000_000)
    const gone = new Readable({
      read() {
        this.destroy(new AppError('not_found', 'No such object.'))
      },
    })
    const order: string[] = []
    const { exports, make, told } = bareExports([
      {
        ...sectionOf('media', async function* () {
          yield { id: 'a' }
        }),
        async *files() {
          yield { name: 'a-large.bin', content: Readable.from([large.subarray(0, 7), large.subarray(7)]) }
          order.push('a is in')
          yield { name: 'b-gone.bin', content: gone }
          yield { name: 'c-empty.txt', content: Readable.from([]) }
          yield { name: 'd-사진.txt', content: Readable.from([Buffer.from('the last one')]) }
        },
      },
      sectionOf('rows', async function* () {
        order.push('rows')
        yield { id: 1 }
      }),
    ])
    const { jobId } = await exports.request(actor.userId)
    await make(jobId)
    const { stream } = await exports.file(actor.userId, jobId)
    const archive = await buffer(stream)
    const { texts, json } = await unzip(archive)
    const names = [
      'README.txt',
      'media.json',
      'rows.json',
      'media/a-large.bin',
      'media/c-empty.txt',
      'media/d-사진.txt',
    ]
    assert.deepEqual([...texts.keys()], names)
    assert.deepEqual([json('media'), json('rows')], [[{ id: 'a' }], [{ id: 1 }]])
    assert.equal(texts.get('media/a-large.bin'), large.toString())
    assert.deepEqual([texts.get('media/c-empty.txt'), texts.get('media/d-사진.txt')], ['', 'the last one'])
    assert.match(texts.get('README.txt') ?? '', /media\/\n {4}The files/)
    assert.deepEqual(order, ['rows', 'a is in'], 'one after the other')
    assert.deepEqual(
      told.map(({ completed }) => completed),
      [0, 1, 2, 2],
    )
  })

  test('whose file breaks off fails, and lets go of the file', async () => {
    const actor = await newActor('torn')
    let isLetGo = false
    const torn = async function* () {
      try {
        yield Buffer.alloc(100_000)
        throw new Error('The disk fails.')
      } finally {
        isLetGo = true
      }
    }
    const { exports, make } = bareExports([
      {
        ...sectionOf('media', async function* () {}),
        async *files() {
          yield { name: 'torn.bin', content: Readable.from(torn()) }
        },
      },
    ])
    const { jobId } = await exports.request(actor.userId)
    await assert.rejects(make(jobId), /The disk fails/)
    assert.ok(isLetGo)
    assert.equal((await exports.request(actor.userId)).status, 'running')
  })

  test('that nobody waits for any more reads no further, and lets go of what it had opened', async () => {
    const actor = await newActor('cancelled')
    const letGo = gate()
    let yielded = 0
    const endless = async function* () {
      try {
        for (;;) {
          // as a disk does, it lets others have their turn
          await setImmediate()
          yielded += 1
          yield randomBytes(500_000)
        }
      } finally {
        letGo.open()
      }
    }
    const { exports, make } = bareExports([
      {
        ...sectionOf('media', async function* () {}),
        async *files() {
          yield { name: 'endless.bin', content: Readable.from(endless()) }
        },
      },
    ])
    const { jobId } = await exports.request(actor.userId)
    const making = make(jobId)
    await eventually('parts are there', async () => (await countOf('data_export_parts', jobId)) >= 2)
    await identity.database.query(sql`delete from data_exports where id = ${jobId}`)
    await making
    await letGo.passed
    assert.ok(yielded < 100, `${yielded} pieces were read`)
  })

  test('that fails is tried again, and given up after a quarter of an hour', async () => {
    const actor = await newActor('unlucky')
    let isBroken = true
    const { exports, make, told } = bareExports([
      sectionOf('broken', async function* () {
        yield { before: 'the failure' }
        if (isBroken) throw new Error('This section fails.')
      }),
    ])
    const { jobId } = await exports.request(actor.userId)
    await assert.rejects(make(jobId), /This section fails/)
    assert.equal((await exports.request(actor.userId)).jobId, jobId)
    await age(jobId, 16)
    await make(jobId)
    assert.deepEqual(told.at(-1), { jobId, kind: 'export', status: 'failed', completed: 0, total: 1 })
    assert.equal(await countOf('data_export_parts', jobId), 0)

    isBroken = false
    const next = await exports.request(actor.userId)
    assert.notEqual(next.jobId, jobId)
    await make(next.jobId)
    assert.equal((await exports.request(actor.userId)).status, 'completed')
    await make(jobId)
    assert.equal(told.at(-1)?.jobId, next.jobId, 'what was given up is not taken up again')
  })

  test('of which nothing is heard for hours is given up', async () => {
    const actor = await newActor('lost')
    const { exports, tidy, told } = bareExports([])
    const { jobId } = await exports.request(actor.userId)
    await age(jobId, 179)
    await tidy()
    assert.equal((await exports.request(actor.userId)).jobId, jobId)
    await age(jobId, 1)
    await tidy()
    assert.equal(told.at(-1)?.status, 'failed')
    assert.notEqual((await exports.request(actor.userId)).jobId, jobId)
  })

  test('ends with the account', async () => {
    const actor = await newActor('going')
    const hanging = gate()
    const { exports, make } = bareExports([
      sectionOf('slow', async function* () {
        yield { noise: randomText(2_000_000) }
        await hanging.passed
        yield { noise: randomText(2_000_000) }
      }),
    ])
    const { jobId } = await exports.request(actor.userId)
    const making = make(jobId)
    await eventually('a part is there', async () => (await countOf('data_export_parts', jobId)) >= 1)
    await identity.database.query(sql`delete from data_exports where id = ${jobId}`)
    hanging.open()
    await making
    assert.equal(await countOf('data_export_parts', jobId), 0)
  })
})

describe('over the wire', () => {
  let server: Backend
  before(async () => {
    server = await startBackend()
  })
  after(() => server.end())

  const download = async (person: Person) => {
    const response = await fetch(`${server.url}${(await completedOf(person)).result?.url}`, {
      headers: { authorization: `Bearer ${person.session.accessToken}` },
    })
    return { response, archive: Buffer.from(await response.arrayBuffer()) }
  }

  async function completedOf(person: Person): Promise<ExportJob> {
    const ask = api(server.url, person)
    let { status, body } = await ask('GET', '/me/export')
    while (status === 202) {
      assert.ok(['queued', 'running'].includes(body.status!))
      await person.hears('job:changed', (job) => job.status === 'completed')
      ;({ status, body } = await ask('GET', '/me/export'))
    }
    assert.equal(status, 200)
    return body as unknown as ExportJob
  }

  test('each step is told to all sockets of the user, and to nobody else', async () => {
    const [ann, bob] = await cast(server.url, 'ann', 'bob')
    const job = await completedOf(ann)
    const steps = ann.heard.filter(({ event }) => event === 'job:changed').map(({ payload }) => payload)
    assert.ok(steps.length >= job.total, `${steps.length} steps`)
    const numbers = steps.map(({ completed }) => Number(completed))
    assert.deepEqual(
      numbers,
      numbers.toSorted((one, other) => one - other),
    )
    assert.deepEqual(steps.at(-1), job)
    assert.equal(job.completed, job.total)
    assert.equal(bob.heard.filter(({ event }) => event === 'job:changed').length, 0)
  })

  test('the file comes whole, as an attachment that nobody keeps', async () => {
    const [ann, bob] = await cast(server.url, 'ann', 'bob')
    const { response, archive } = await download(ann)
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-type'), 'application/zip')
    assert.match(response.headers.get('content-disposition') ?? '', /^attachment; filename="[\w.-]+\.zip"$/)
    assert.equal(response.headers.get('cache-control'), 'no-store')
    assert.equal(Number(response.headers.get('content-length')), archive.length)
    assert.deepEqual((await unzip(archive)).json('profile').length, 1)

    const path = ((await completedOf(ann)).result?.url ?? '').replace('/v1', '')
    assert.equal((await api(server.url, bob)('GET', path)).status, 404)
    assert.equal((await api(server.url)('GET', path)).status, 401)
    assert.equal((await api(server.url)('GET', '/me/export')).status, 401)
    assert.equal((await api(server.url, ann)('GET', '/me/export/nothing/file')).status, 400)
  })

  test('what the user may read is in it as the user reads it, and nothing of what the user has left', async () => {
    const [ann, bob, eve] = await cast(server.url, 'ann', 'bob', 'eve')
    const group = await openGroup(bob, ann, eve)
    const direct = await openDirect(bob, ann)
    const left = await openGroup(bob, ann, eve)
    const deleted = await openGroup(ann, bob)
    const others = await openGroup(bob, eve)
    const secret = `not for ann ${randomUUID()}`

    const first = await send(ann, group, `hello @${eve.username}`)
    const answer = await send(eve, group, 'an answer', { replyToId: first.id })
    await ann.do('message:edit', { conversationId: group, messageId: first.id, content: 'hello, edited' })
    await ann.do('reaction:add', { conversationId: group, messageId: answer.id, emoji: '👍' })
    await send(bob, direct, 'between us')
    await ann.do('receipt:read', { conversationId: direct, seq: 1 })

    const asked = await send(bob, left, secret)
    const own = await send(ann, left, 'my own words', { replyToId: asked.id })
    await ann.do('reaction:add', { conversationId: left, messageId: asked.id, emoji: '🎉' })
    await bob.do('reaction:add', { conversationId: left, messageId: own.id, emoji: '👎' })
    await ann.do('conversation:leave', { conversationId: left })
    await bob.do('conversation:update', { conversationId: left, title: secret })
    await send(bob, left, secret)
    await send(ann, deleted, 'in a group that was deleted')
    await send(bob, deleted, secret)
    await ann.do('conversation:delete', { conversationId: deleted })
    await send(bob, others, secret)

    const { archive } = await download(ann)
    const files = await unzip(archive)
    for (const [name, text] of files.texts) assert.ok(!text.includes(secret), `${name} holds what ann may not read`)

    const conversations = files.json('conversations') as { id: string; title?: string; leftAt?: string; role: string }[]
    assert.deepEqual(conversations.map(({ id }) => id).toSorted(), [group, direct, left, deleted].toSorted())
    for (const id of [group, direct]) {
      const exported = conversations.find((row) => row.id === id)
      const { unreadCount, ...rest } = await ann.do('conversation:get', { conversationId: id })
      assert.partialDeepStrictEqual(exported, { ...rest, role: 'member' })
    }
    const goodbye = conversations.find(({ id }) => id === left)
    assert.ok(goodbye?.leftAt)
    assert.ok(!('title' in goodbye) && !('participants' in goodbye) && !('lastMessage' in goodbye))

    const messages = files.json('messages') as {
      id: string
      conversationId: string
      revisions?: { content: string }[]
    }[]
    const of = (id: string) => messages.filter(({ conversationId }) => conversationId === id)
    for (const id of [group, direct]) {
      const withoutRevisions = of(id).map(({ revisions, ...message }) => message)
      assert.deepEqual(withoutRevisions, await historyOf(ann, id))
    }
    assert.deepEqual(
      of(group)
        .find(({ id }) => id === first.id)
        ?.revisions?.map(({ content }) => content),
      [`hello @${eve.username}`],
    )
    assert.partialDeepStrictEqual(of(left), [
      { id: own.id, content: 'my own words', replyTo: { id: asked.id, seq: 1 } },
    ])
    assert.equal(of(left).length, 1)
    assert.ok(!('reactions' in of(left)[0]!))
    assert.deepEqual(of(deleted).length, 1)
    assert.deepEqual(of(others), [])

    assert.deepEqual(
      (files.json('reactions') as { messageId: string; emoji: string }[])
        .map(({ messageId, emoji }) => [messageId, emoji])
        .toSorted(),
      [
        [answer.id, '👍'],
        [asked.id, '🎉'],
      ].toSorted(),
    )
    assert.partialDeepStrictEqual(
      (files.json('receipts') as { conversationId: string }[]).filter(
        ({ conversationId }) => conversationId === direct,
      ),
      [{ conversationId: direct, lastReadSeq: 1 }],
    )
  })
})

type Handle = (data: never, job: { id: string; signal: AbortSignal }) => Promise<void>

/** The exports on a queue that the test works off by itself, so that it decides when an attempt is made. */
function bareExports(sections: ExportSection[], { onPart = () => {} } = {}) {
  const handlers = new Map<string, Handle>()
  const told: ExportJob[] = []
  const jobs = {
    define: (queue: { name: string; handle: Handle }) => {
      handlers.set(queue.name, queue.handle)
      return { enqueue: async () => () => {} }
    },
  } as unknown as Jobs
  const database: typeof identity.database = {
    ...identity.database,
    async query(statement) {
      const rows = await identity.database.query(statement)
      if (rows.length === 1 && 'position' in (rows[0] as object) && !('content' in (rows[0] as object))) onPart()
      return rows
    },
  }
  const exports = createDataExports({
    database,
    jobs,
    fanout: { toUsers: (_userIds, _event, payload) => void told.push(payload as ExportJob) },
    log: pino({ level: 'silent' }),
    sections,
  })
  const job = { id: 'test', signal: new AbortController().signal }
  return {
    exports,
    told,
    make: async (exportId: string) => handlers.get('data-export')!({ exportId } as never, job),
    tidy: async () => handlers.get('data-export-tidy')!({} as never, job),
  }
}

const sectionOf = (name: string, rows: () => AsyncIterable<object>): ExportSection => ({ name, about: name, rows })

/** Text that does not compress to less than three quarters. */
const randomText = (length: number): string => randomBytes(length).toString('base64').slice(0, length)

function gate() {
  let open = () => {}
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open }
}

/** A conversation of the user alone with so many messages of 2,000 random letters. */
async function aConversation(userId: string, count: number): Promise<string> {
  const { database } = identity
  const id = randomUUID()
  await database.query(sql`insert into conversations (id, type, created_by, last_seq, last_change)
    values (${id}, 'group', ${userId}, ${count}, ${count})`)
  await database.query(
    sql`insert into participants (conversation_id, user_id, role, change) values (${id}, ${userId}, 'owner', 1)`,
  )
  for (let seq = 1; seq <= count; seq += 500) {
    const rows = Array.from({ length: 500 }, (_, i) => ({ seq: seq + i, id: randomUUID(), content: randomText(2_000) }))
    await database.query(sql`
      insert into messages (conversation_id, id, seq, change, created_change, sender_id, content, created_at)
      select ${id}, r.id, r.seq, r.seq, r.seq, ${userId}, r.content, now()
      from json_to_recordset(${JSON.stringify(rows)}::json) as r (seq int, id uuid, content text)`)
  }
  return id
}
