import 'dotenv/config'
import { loadConfig } from '../config.ts'
import { openDatabase } from './database.ts'

/** `npm run migrate`: brings the database to the current schema without starting the server. */
const database = await openDatabase(loadConfig(process.env))
const names = await database.migrate()
process.stdout.write(
  names.length > 0 ? `Applied:\n${names.map((name) => `  ${name}`).join('\n')}\n` : 'Nothing to apply.\n',
)
await database.close()
