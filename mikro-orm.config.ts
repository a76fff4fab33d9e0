import 'dotenv/config'
import { loadConfig } from './src/config.ts'
import { ormOptions } from './src/database/options.ts'

/** What the ORM's command line sees: the options of the server itself. */
export default ormOptions(loadConfig(process.env))
