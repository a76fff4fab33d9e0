import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createOwnProcess } from '../../src/adapters/own-process.ts'
import { AppError } from '../../src/kernel/errors.ts'

type Job = 'environment' | 'crash' | 'hang' | 'throw'
type Answer = { pid: number; names: string[] }

const start = () => createOwnProcess<Job, Answer>(new URL('./odd.process.ts', import.meta.url))
const odd = start()
after(odd.close)

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

for (const job of ['crash', 'hang', 'throw'] as const) {
  test(`a process that should ${job} is ended, and the jobs behind it are done by a new one`, async () => {
    const before = await odd.run('environment', 20_000)
    const [none, next] = await Promise.all([odd.run(job, 1_000), odd.run('environment', 20_000)])
    assert.equal(none, undefined)
    assert.ok(before && next && before.pid !== next.pid)
    assert.equal(isAlive(before.pid), false)
  })
}

test('it is told nothing of the environment, in which there are secrets', async () => {
  process.env['JWT_SECRET_OF_THIS_TEST'] = 'secret'
  const own = start()
  const answer = await own.run('environment', 20_000)
  assert.deepEqual(
    answer?.names.filter((name) => !/^(MALLOC_ARENA_MAX|NODE_CHANNEL_\w+|NODE_UNIQUE_ID)$/.test(name)),
    [],
  )
  own.close()
})

test('closed, it ends its process and refuses what waits', async () => {
  const own = start()
  const answer = await own.run('environment', 20_000)
  const waits = [own.run('hang', 20_000), own.run('environment', 20_000)]
  const refused = waits.map((wait) =>
    assert.rejects(wait, (error) => error instanceof AppError && error.code === 'unavailable'),
  )
  // the first of them is under way
  await new Promise((resolve) => setImmediate(resolve))
  own.close()
  await Promise.all(refused)
  const deadline = Date.now() + 10_000
  while (isAlive(answer?.pid as number)) {
    assert.ok(Date.now() < deadline, 'the process goes on')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
})
