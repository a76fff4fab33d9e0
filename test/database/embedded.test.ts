import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
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
  assert.ok(!existsSync(join(folder, 'lock')), 'the lock goes with the process')
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
  assert.equal(Number(readFileSync(join(folder, 'lock'), 'utf8')), first.process.pid)

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
    assert.equal(Number(readFileSync(join(folder, 'lock'), 'utf8')), second.process.pid)
    reader.close()
  } finally {
    await second.stop()
  }
})

test('a lock is taken over from a process that is gone, and from one that had our own pid', () => {
  for (const content of [`${deadPid()}\n`, `${process.pid}\n`, '', 'no number', '0']) {
    writeFileSync(join(folder, 'lock'), content)
    const unlock = lockFolder(folder)
    assert.equal(readFileSync(join(folder, 'lock'), 'utf8'), `${process.pid}\n`)
    unlock()
    assert.ok(!existsSync(join(folder, 'lock')))
  }
})

test('a lock of a process that runs is respected, also of another user’s', () => {
  for (const pid of [1, process.ppid]) {
    writeFileSync(join(folder, 'lock'), `${pid}\n`)
    assert.throws(
      () => lockFolder(folder),
      (error) => error instanceof FolderInUseError && error.message.includes(`process ${pid}`),
    )
    assert.equal(readFileSync(join(folder, 'lock'), 'utf8'), `${pid}\n`)
  }
})

const contender = `
  import { lockFolder } from ${JSON.stringify(join(root, 'src/database/folder-lock.ts'))}
  process.stdout.write('ready\\n')
  await new Promise((resolve) => process.stdin.once('data', resolve))
  try { lockFolder(process.argv[1]); process.stdout.write('has it\\n') } catch (error) { process.stdout.write(error.name + '\\n') }
  process.stdin.on('end', () => process.exit())
`

test('of many processes that start at once on a stale lock, one has the folder', async () => {
  const processes = Array.from({ length: 6 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', contender, folder], { stdio: ['pipe', 'pipe', 'inherit'] }),
  )
  const says = async ({ stdout }: (typeof processes)[number]) =>
    String((await once(stdout, 'data', { signal: AbortSignal.timeout(20_000) }))[0]).trim()
  try {
    await Promise.all(processes.map(says))
    writeFileSync(join(folder, 'lock'), `${deadPid()}\n`)
    const answers = processes.map(says)
    for (const { stdin } of processes) stdin.write('go\n')
    assert.deepEqual((await Promise.all(answers)).toSorted(), [...Array(5).fill('FolderInUseError'), 'has it'])
  } finally {
    for (const { stdin } of processes) stdin.end()
  }
})
