import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createFileInspector } from '../../src/adapters/file-inspector.ts'
import { withCode } from '../support/identity.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kintsugi-inspector-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const fileOf = async (name: string, content: string): Promise<string> => {
  await writeFile(join(folder, name), content)
  return join(folder, name)
}

test('a file that leads the inspector nowhere is refused after a while, and the next ones are looked at', async () => {
  const inspector = createFileInspector(5_000)
  const endless = '/dev/zero'
  const [first, second] = [await fileOf('first', 'one'), await fileOf('second', 'two')]
  const looks = [inspector.inspect(first), inspector.inspect(endless), inspector.inspect(second)]
  const [one, none, two] = await Promise.allSettled(looks)
  assert.ok(none?.status === 'rejected' && withCode('unsupported_media')(none.reason))
  for (const [look, content] of [
    [one, 'one'],
    [two, 'two'],
  ] as const)
    assert.deepEqual(look, {
      status: 'fulfilled',
      value: {
        ...{ bytes: 3, sha256: createHash('sha256').update(content).digest('hex') },
        ...{ mime: undefined, durationMs: undefined },
      },
    })
  await inspector.close()
})

test('a file that is not there is no fault of who sent it', async () => {
  const inspector = createFileInspector()
  const nothing = inspector.inspect(join(folder, 'nothing'))
  await assert.rejects(nothing, (error) => !withCode('unsupported_media')(error))
  assert.equal((await inspector.inspect(await fileOf('third', 'three'))).bytes, 5)
  await inspector.close()
})

test('an inspector that is closed refuses what waits, for now', async () => {
  const inspector = createFileInspector()
  const looks = [inspector.inspect('/dev/zero'), inspector.inspect(await fileOf('late', 'late'))].map((look) =>
    assert.rejects(look, withCode('unavailable')),
  )
  await inspector.close()
  await Promise.all(looks)
})
