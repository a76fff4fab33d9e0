import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RequestHandler } from 'express'
import { pino } from 'pino'
import { createMetrics } from '../../src/kernel/metrics.ts'
import type { Route } from '../../src/kernel/operation.ts'
import { createExecutor } from '../../src/transport/executor.ts'
import { createHttp } from '../../src/transport/http.ts'
import { createRateLimits } from '../../src/transport/rate-limits.ts'

/** The REST side alone, in this process, over the given routes; without rate limits. */
export async function serveHttp(deps: {
  routes: Route[]
  bearerAuthentication: RequestHandler
  corsOrigins?: string[]
  trustProxy?: number
  publicUrl?: string
  /** A folder for files that are being received; unless given, one that goes with the server. */
  scratch?: string
}) {
  const scratch = await mkdtemp(join(tmpdir(), 'kintsugi-http-'))
  const logged: string[] = []
  const log = pino({}, { write: (line: string) => logged.push(line) })
  const metrics = createMetrics()
  const rateLimits = createRateLimits({ enabled: false, shared: undefined })
  const server = createServer(
    createHttp({
      corsOrigins: [],
      trustProxy: 0,
      scratch,
      ...deps,
      executor: createExecutor({ rateLimits, metrics, log }),
      docs: (_req, _res, next) => next(),
      readiness: async () => ({ ready: true, checks: {} }),
      metrics,
      log,
    }),
  )
  const answers: ServerResponse[] = []
  server.on('request', (_req, res) => answers.push(res))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** The lines of its log. */
    logged,
    /** Settles when the server has seen the caller of the latest request go. */
    async sawCallerGo() {
      const answer = answers.at(-1)
      if (answer && !answer.closed) await once(answer, 'close', { signal: AbortSignal.timeout(5_000) })
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await rm(scratch, { recursive: true, force: true })
    },
  }
}
