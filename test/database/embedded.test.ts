import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { FolderInUseError, lockFolder } from '../../src/database/folder-lock.ts'
import { cast, historyOf, openGroup, sendUntilTheEnd } from '../messenger/scene.ts'
import { connect } from '../support/people.ts'
import { startServer } from '../support/server.ts'

const root = join(import.meta.dirname, '../..')
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kintsugi-embedded-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const locksIn = (directory: string): string[] => readdirSync(directory).filter((name) => name.startsWith('lock'))

/** A pid that no process has: that of one that has just ended. */
const deadPid = (): number => spawnSync(process.execPath, ['-e', '']).pid

test('a second process on the data folder is refused in a sentence that names folder and process', async () => {
  const first = await startServer({ DATA_DIR: folder })
  try {
    const env = { ...process.env, DATABASE_URL: '', REDIS_URL: '', DATA_DIR: folder, PORT: '0', HOST: '127.0.0.1' }
    const second = spawn(process.execPath, ['src/main.ts'], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let printed = ''
    for (const stream of [second.stdout, second.stderr]) stream.on('data', (chunk) => (printed += chunk))
    const [code] = await once(second, 'close', { signal: AbortSignal.timeout(30_000) })
    assert.equal(code, 1)
    assert.ok(printed.includes(folder) && printed.includes(`process ${first.process.pid}`), printed)
    assert.match(printed, /DATA_DIR.*DATABASE_URL/)
    assert.doesNotMatch(printed, /\bat .*:\d+:\d+/, 'no stack')
    assert.equal((await fetch(`${first.url}/readyz`)).status, 200)
  } finally {
    await first.stop()
  }
  assert.deepEqual(locksIn(folder), [], 'the lock goes with the process')
})

test('kill -9 keeps every acknowledged message, and the next process takes the lock over', async () => {
  const first = await startServer({ DATA_DIR: folder })
  const people = await cast(first.url, 'ann', 'ben', 'cat')
  const [ann] = people
  const conversationId = await openGroup(...people)
  let acks = 0
  const killAfterSome = () => {
    acks += 1
    if (acks === 100) first.process.kill('SIGKILL')
  }
  const acked = (
    await Promise.all(people.map((person) => sendUntilTheEnd(person, conversationId, killAfterSome)))
  ).flat()
  await first.kill()
  assert.ok(acked.length >= 100)
  assert.deepEqual(locksIn(folder), [`lock.${first.process.pid}`])

  const second = await startServer({ DATA_DIR: folder })
  try {
    const reader = await connect(second.url, ann.session)
    const stored = await historyOf(reader, conversationId)
    assert.deepEqual(
      acked.filter((id) => !stored.some((message) => message.id === id)),
      [],
    )
    assert.deepEqual(
      stored.map(({ seq }) => seq),
      Array.from(stored, (_, i) => i + 1),
    )
    assert.deepEqual(locksIn(folder), [`lock.${second.process.pid}`])
    reader.close()
  } finally {
    await second.stop()
  }
})

test('a lock is taken over from a process that is gone, and from one that had our own pid', () => {
  for (const pid of [deadPid(), process.pid]) {
    writeFileSync(join(folder, `lock.${pid}`), `${pid}\n`)
    const unlock = lockFolder(folder)
    assert.deepEqual(locksIn(folder), [`lock.${process.pid}`])
    unlock()
    assert.deepEqual(locksIn(folder), [])
  }
})

test('a lock of a process that runs is respected, also of another user’s', () => {
  for (const pid of [1, process.ppid]) {
    writeFileSync(join(folder, `lock.${pid}`), `${pid}\n`)
    assert.throws(
      () => lockFolder(folder),
      (error) => error instanceof FolderInUseError && error.message.includes(`process ${pid}`),
    )
    assert.deepEqual(locksIn(folder), [`lock.${pid}`])
    rmSync(join(folder, `lock.${pid}`))
  }
})

/** Takes the folder that a line names, at the millisecond that it names, and gives it back at the next empty line. */
const contender = `
  import { lockFolder } from ${JSON.stringify(join(root, 'src/database/folder-lock.ts'))}
  import { createInterface } from 'node:readline'
  let unlock
  process.stdout.write('ready\\n')
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === '') {
      unlock?.()
      unlock = undefined
      process.stdout.write('free\\n')
      continue
    }
    const [at, folder] = JSON.parse(line)
    while (Date.now() < at);
    try {
      unlock = lockFolder(folder)
      process.stdout.write('has it\\n')
    } catch (error) {
      process.stdout.write(error.name + '\\n')
    }
  }
`

test('of many processes that start at once, one has the folder, with no lock before and with a stale one', async () => {
  const contenders = Array.from({ length: 6 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', contender], { stdio: ['pipe', 'pipe', 'inherit'] }),
  )
  const answers = () =>
    Promise.all(
      contenders.map(async ({ stdout }) =>
        String((await once(stdout, 'data', { signal: AbortSignal.timeout(20_000) }))[0]).trim(),
      ),
    )
  const tellAll = (line: string) => {
    for (const { stdin } of contenders) stdin.write(`${line}\n`)
    return answers()
  }
  const gone = deadPid()
  try {
    await answers()
    for (let round = 0; round < 100; round++) {
      if (round % 2) writeFileSync(join(folder, `lock.${gone}`), `${gone}\n`)
      const outcomes = await tellAll(JSON.stringify([Date.now() + 10, folder]))
      assert.deepEqual(outcomes.toSorted(), [...Array(5).fill('FolderInUseError'), 'has it'], `round ${round}`)
      await tellAll('')
    }
  } finally {
    for (const { stdin } of contenders) stdin.end()
  }
})
