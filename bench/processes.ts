import { type ChildProcess, fork, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Answer, Job, TargetName } from './jobs.ts'

const root = join(import.meta.dirname, '..')
const programs: Record<TargetName, string> = {
  bare: 'bench/peers/bare.ts',
  naive: 'bench/peers/naive.ts',
  kintsugi: 'src/main.ts',
}
const readyWithinMs = 60_000
const stopWithinMs = 15_000
/** What a failing process said last is enough to see why. */
const maxOutput = 4000

/** Everything started and not ended yet: what an interrupted run must not leave behind. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A server under test. */
export type Server = { url: string; pid: number; stop(): Promise<void> }

/**
 * Starts a server on a free port and waits until it is ready.
 * @param how.program another than the target's
 * @param how.collectable the server can be asked to collect garbage (`settle.ts`)
 * @throws with the server's last output where it does not become ready
 */
export async function startServer(
  target: TargetName,
  environment: Record<string, string>,
  { program = programs[target], collectable = false }: { program?: string; collectable?: boolean } = {},
): Promise<Server> {
  const port = await freePort()
  const flags = collectable ? ['--expose-gc', '--import', `${root}/bench/settle.ts`] : []
  // only what a server needs: variables meant for the bench, or for another Kintsugi, must not reach it
  const { PATH, HOME, TZ, LANG } = process.env
  const child = spawn(process.execPath, [...flags, join(root, program)], {
    cwd: root,
    env: { PATH, HOME, TZ, LANG, PORT: String(port), HOST: '127.0.0.1', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = remember(child)
  const url = `http://127.0.0.1:${port}`
  try {
    await untilReady(child, url)
  } catch (error) {
    child.kill('SIGKILL')
    throw new Error(`${target} did not become ready: ${String(error)}\n${output()}`)
  }
  return {
    url,
    pid: child.pid ?? 0,
    async stop() {
      if (hasEnded(child)) throw new Error(`${target} ended by itself:\n${output()}`)
      child.kill('SIGTERM')
      await endOf(child, stopWithinMs)
    },
  }
}

/** Starts the language model of the bench, a process of its own. */
export async function startModel(): Promise<{ url: string; stop(): Promise<void> }> {
  const child = fork(join(root, 'bench/peers/model.ts'), { cwd: root, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  const output = remember(child)
  const port = await new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', () => reject(new Error(`the model did not start:\n${output()}`)))
  })
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      child.kill('SIGTERM')
      await endOf(child, stopWithinMs)
    },
  }
}

/**
 * Does a job in a load process of its own.
 * @throws what made it fail, or that it took longer than `withinMs`
 */
export async function runLoad<T>(job: Job, withinMs: number): Promise<T> {
  const child = fork(join(root, 'bench/load.ts'), { cwd: root, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  const output = remember(child)
  const timer = setTimeout(() => child.kill('SIGKILL'), withinMs)
  try {
    const answer = await new Promise<Answer>((resolve) => {
      child.once('message', (message) => resolve(message as Answer))
      child.once('exit', (code, signal) => resolve({ failure: `the load ended with ${code ?? signal}\n${output()}` }))
      child.send(job)
    })
    if ('failure' in answer) throw new Error(answer.failure)
    return answer.result as T
  } finally {
    clearTimeout(timer)
    await endOf(child, stopWithinMs)
  }
}

/** Keeps the end of what a process prints, and the process among those to end with this one. */
function remember(child: ChildProcess): () => string {
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-maxOutput)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  running.add(child)
  child.once('exit', () => running.delete(child))
  return () => output
}

async function untilReady(child: ChildProcess, url: string): Promise<void> {
  const deadline = Date.now() + readyWithinMs
  let last = 'no answer'
  while (Date.now() < deadline) {
    if (hasEnded(child)) throw new Error(`it ended with ${child.exitCode ?? child.signalCode}`)
    const answer = await fetch(`${url}/readyz`).catch((error: Error) => error)
    if (answer instanceof Response && answer.ok) return
    last = answer instanceof Response ? `readyz says ${answer.status}` : answer.message
    await delay(50)
  }
  throw new Error(last)
}

async function endOf(child: ChildProcess, withinMs: number): Promise<void> {
  if (hasEnded(child)) return
  const timer = setTimeout(() => child.kill('SIGKILL'), withinMs)
  await new Promise((resolve) => child.once('exit', resolve))
  clearTimeout(timer)
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}
