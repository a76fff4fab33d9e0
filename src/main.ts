import 'dotenv/config'
import { createApp } from './app.ts'
import { ConfigError, loadConfig } from './config.ts'
import { FolderInUseError } from './database/folder-lock.ts'
import { createLog } from './log.ts'

/** A shutdown that takes longer is ended; what was acknowledged is committed. */
const shutdownMs = 9_000

async function main(): Promise<void> {
  const config = loadConfig(process.env)
  const log = createLog(config.logLevel, config.nodeId)
  process.on('unhandledRejection', (reason) => {
    log.fatal({ err: reason }, 'a rejection was not handled: this is a bug, the process ends')
    process.exit(1)
  })

  const app = await createApp(config, log)
  let closing = false
  const shutdown = (signal: string) => {
    if (closing) return
    closing = true
    log.info({ signal }, 'shutting down')
    setTimeout(() => {
      log.error('the shutdown took too long')
      process.exit(1)
    }, shutdownMs).unref()
    app.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'the shutdown failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', shutdown)
  process.on('SIGINT', shutdown)

  const port = await app.listen()
  log.info(
    {
      port,
      database: config.database.url ? 'PostgreSQL' : `embedded in ${config.dataDir}`,
      redis: Boolean(config.redis.url),
    },
    'ready',
  )
  if (config.logLevel !== 'silent' && process.stdout.isTTY)
    console.log(`Kintsugi: http://localhost:${port} (documents at /docs)`)
}

main().catch((error: unknown) => {
  // what the operator can mend is said in a sentence; anything else with its stack
  const known = error instanceof ConfigError || error instanceof FolderInUseError
  const { code, message } = error as NodeJS.ErrnoException
  if (known || code === 'EADDRINUSE')
    console.error(code === 'EADDRINUSE' ? `The port is taken: ${message}. Set PORT to another.` : message)
  else console.error(error)
  process.exit(1)
})
