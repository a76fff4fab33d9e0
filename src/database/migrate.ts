import 'dotenv/config'
import { ConfigError, loadConfig } from '../config.ts'
import { openDatabase } from './database.ts'
import { FolderInUseError } from './folder-lock.ts'

/** `npm run migrate`: brings the database to the current schema without starting the server. */
async function main(): Promise<void> {
  const database = await openDatabase(loadConfig(process.env))
  const names = await database.migrate()
  process.stdout.write(
    names.length > 0 ? `Applied:\n${names.map((name) => `  ${name}`).join('\n')}\n` : 'Nothing to apply.\n',
  )
  await database.close()
}

main().catch((error: unknown) => {
  const known = error instanceof ConfigError || error instanceof FolderInUseError
  process.stderr.write(`${known ? error.message : (error as Error).stack}\n`)
  process.exit(1)
})
