import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '../..')
const startLimitMs = 60_000
const chatLimitMs = 60_000

/** The first Python that can talk Socket.IO over WebSocket: the system's own, or whichever comes first on PATH. */
const python = [process.env.PYTHON ?? '/usr/bin/python3', 'python3'].find(
  (command) => spawnSync(command, ['-c', 'import socketio, websocket']).status === 0,
)
const missing = 'needs python-socketio and websocket-client (Debian: python3-socketio, python3-websocket)'

/** A port that nothing listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  server.close()
  await once(server, 'close')
  return address.port
}

/** Asks until the server is ready; says what it printed when it ends before that or takes too long. */
async function ready(address: string, server: ChildProcess, output: () => string): Promise<void> {
  const deadline = Date.now() + startLimitMs
  while (Date.now() < deadline) {
    assert.equal(server.exitCode, null, `the server ended: ${output()}`)
    const response = await fetch(`${address}/readyz`).catch(() => undefined)
    if (response?.ok) return
    await new Promise((resolved) => setTimeout(resolved, 100))
  }
  assert.fail(`the server was not ready after ${startLimitMs} ms: ${output()}`)
}

/** In CI the client is installed, so there its absence is a failure and no reason to skip. */
const skip = python === undefined && process.env.CI !== 'true' && missing

test('a Python client chats over the public protocol', { skip, timeout: startLimitMs + chatLimitMs }, async (t) => {
  assert.ok(python, missing)
  const folder = await mkdtemp(join(tmpdir(), 'kintsugi-interop-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const port = await freePort()
  const server = spawn(process.execPath, ['src/main.ts'], {
    cwd: root,
    // the protocol is the same on every database: the embedded one needs nothing beside it
    env: { ...process.env, PORT: String(port), HOST: '127.0.0.1', DATA_DIR: folder, DATABASE_URL: '', REDIS_URL: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  const keep = (chunk: Buffer): void => {
    printed += chunk
  }
  server.stdout.on('data', keep)
  server.stderr.on('data', keep)
  t.after(async () => {
    if (server.exitCode !== null) return
    server.kill('SIGTERM')
    await once(server, 'exit')
  })

  const address = `http://127.0.0.1:${port}`
  await ready(address, server, () => printed)
  const { stdout } = await promisify(execFile)(python, [join(import.meta.dirname, 'chat.py'), address], {
    timeout: chatLimitMs,
    encoding: 'utf8',
    env: { ...process.env, PYTHONUNBUFFERED: '1' },
  })
  assert.match(stdout, /all as the protocol says/)
})
