import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { createClient } from '../../src/client/index.ts'
import { type Backend, startBackend } from '../support/backend.ts'

const root = join(import.meta.dirname, '../..')
const limitMs = 30_000

let server: Backend
let folder: string

before(async () => {
  server = await startBackend()
  folder = await mkdtemp(join(tmpdir(), 'kintsugi-agent-'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
})

after(async () => {
  await server.end()
  await rm(folder, { recursive: true, force: true })
})

/** Writes the programs of the page as they stand there; only the package's place and the server's address are others. */
async function programsOf(page: string): Promise<string[]> {
  const text = await readFile(join(root, page), 'utf8')
  const blocks = [...text.matchAll(/^```ts file=(\S+)\n(.*?)^```$/gms)]
  for (const [, name = '', code = ''] of blocks) {
    const placed = code
      .replaceAll("'kintsugi/client'", JSON.stringify(join(root, 'src/client/index.ts')))
      .replaceAll('http://localhost:3000', server.url)
    await writeFile(join(folder, name), placed)
  }
  return blocks.map(([, name = '']) => name)
}

/** Settles when the program has printed that line. */
function printed(child: ChildProcess, line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = ''
    const timer = setTimeout(() => reject(new Error(`it did not print ${line}: ${output}`)), limitMs)
    const read = (chunk: Buffer): void => {
      output += chunk
      if (!output.includes(line)) return
      clearTimeout(timer)
      resolve()
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
  })
}

test('the first agent of docs/agents.md is made, connects, and streams its answer', async () => {
  assert.deepEqual(await programsOf('docs/agents.md'), ['make-agent.ts', 'shouter.ts'])
  const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'make-agent.ts')], { timeout: limitMs })
  const key = stdout.trim()
  assert.match(key, /^kag_[\w-]{43}$/)

  const program = spawn(process.execPath, [join(folder, 'shouter.ts'), key], { stdio: ['ignore', 'pipe', 'pipe'] })
  const ben = createClient({ url: server.url })
  try {
    await printed(program, 'Ready.')
    await ben.register({ email: 'ben@example.org', username: 'ben', password: 'correct horse battery' })
    await ben.connect()
    const [agent] = (await ben.rest.searchUsers('shouter')).items
    assert.equal(agent?.kind, 'agent')

    const { id } = await ben.command('conversation:create', { type: 'direct', participantIds: [agent.id] })
    const ended = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(reject, limitMs, new Error('the answer did not end'))
      ben.on('messages:updated', ({ messages }) => {
        if (messages[0]?.status !== 'sent') return
        clearTimeout(timer)
        resolve()
      })
    })
    await ben.send(id, 'can you hear me').acknowledged
    await ended
    await ben.synced()
    const texts = ben.store.get(id)?.messages.map(({ content }) => content)
    assert.deepEqual(texts, ['can you hear me', 'CAN YOU HEAR ME '])
  } finally {
    await ben.close()
    program.kill()
    await once(program, 'exit')
  }
})
