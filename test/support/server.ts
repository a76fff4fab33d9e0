import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migratedFolder } from './template.ts'

const root = join(import.meta.dirname, '../..')
const startLimitMs = 60_000
const stopLimitMs = 15_000

/** Shared by the nodes of one test run, so that a token of one is good at the others. */
export const jwtSecret = randomBytes(24).toString('hex')

export interface TestServer {
  url: string
  process: ChildProcess
  /** What it has printed so far. */
  output(): string
  /** Ends it by SIGTERM, as an operator would; resolves with its exit code. */
  stop(): Promise<number | null>
  /** Ends it by SIGKILL, as a power cut would. */
  kill(): Promise<void>
}

/** A port that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  server.close()
  await once(server, 'close')
  return address.port
}

/**
 * Starts the server as a process of its own and waits until it is ready. Without `env` it is embedded, in a folder that
 * goes with it; rate limits are off unless `env` turns them on.
 */
export async function startServer(env: Record<string, string> = {}): Promise<TestServer> {
  const folder =
    env.DATA_DIR ?? (await (env.DATABASE_URL ? mkdtemp(join(tmpdir(), 'kintsugi-server-')) : migratedFolder()))
  const removeFolder = () => (env.DATA_DIR ? undefined : rm(folder, { recursive: true, force: true }))
  const port = env.PORT ?? String(await freePort())
  const { NODE_ENV, NODE_TEST_CONTEXT, ...inherited } = process.env
  const child = spawn(process.execPath, ['src/main.ts'], {
    cwd: root,
    env: {
      ...inherited,
      DATABASE_URL: '',
      REDIS_URL: '',
      HOST: '127.0.0.1',
      PORT: port,
      DATA_DIR: folder,
      JWT_SECRET: jwtSecret,
      RATE_LIMITS: 'off',
      LOG_LEVEL: 'info',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  const keep = (chunk: Buffer): void => {
    printed += chunk
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const exited = once(child, 'exit')
  // a test that ends early takes its servers with it
  const endWithTest = () => child.kill('SIGKILL')
  process.once('exit', endWithTest)
  const ended = async (): Promise<number | null> => {
    await exited
    process.off('exit', endWithTest)
    await removeFolder()
    return child.exitCode
  }

  const server: TestServer = {
    url: `http://127.0.0.1:${port}`,
    process: child,
    output: () => printed,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), stopLimitMs)
      const code = await ended()
      clearTimeout(timer)
      return code
    },
    async kill() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await ended()
    },
  }
  // its pipes would keep the test process alive, and it would outlive that
  await ready(server).catch(async (error: unknown) => {
    await server.kill()
    throw error
  })
  return server
}

/** Asks until the server is ready; says what it printed when it ends before that or takes too long. */
async function ready({ url, process: child, output }: TestServer): Promise<void> {
  const deadline = Date.now() + startLimitMs
  while (Date.now() < deadline) {
    assert.ok(child.exitCode === null && child.signalCode === null, `the server ended: ${output()}`)
    const response = await fetch(`${url}/readyz`).catch(() => undefined)
    if (response?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.fail(`the server was not ready after ${startLimitMs} ms: ${output()}`)
}
