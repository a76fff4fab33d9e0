import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, gzip } from 'node:zlib'

/**
 * Builds the page where what it is made of has changed since. `npm start` runs this before the server, so it has to be
 * quick and quiet where nothing is to be done.
 */

const root = join(import.meta.dirname, '..')
const dist = join(import.meta.dirname, 'dist')
/** Built here and put in its place in one step, so that nobody is served half of it. */
const building = join(root, 'node_modules/.cache', `page-${process.pid}`)
/** Holds the sum of what the page was built from. */
const sumFile = '.sources'

/** All that a build reads: the page, the client package with the types that it takes, and the versions of packages. */
const sources = [
  'web/**',
  'src/client/**',
  'src/*/*.contract.ts',
  'src/kernel/{errors,primitives}.ts',
  'tsconfig.json',
  'package-lock.json',
]

/** What compresses, by its ending; images and fonts are compressed in themselves. */
const compressible = new Set(['.css', '.html', '.js', '.json', '.svg', '.txt', '.webmanifest'])
/** Below it the headers weigh more than what is saved. */
const leastBytes = 1024
const packed = promisify(gzip)
const compressions = { br: promisify(brotliCompress), gz: (bytes: Buffer) => packed(bytes, { level: 9 }) }

function sumOfSources(): string {
  const isBuilt = ({ name }: { name: string }): boolean => name === 'dist' || name === 'node_modules'
  const files = globSync(sources, { cwd: root, withFileTypes: true, exclude: isBuilt })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
  const sum = createHash('sha256')
  for (const file of files.sort()) {
    const bytes = readFileSync(file)
    sum.update(`${file.slice(root.length)}\0${bytes.length}\0`).update(bytes)
  }
  return sum.digest('hex')
}

async function compress(file: string): Promise<void> {
  const bytes = await readFile(file)
  if (bytes.length <= leastBytes) return
  for (const [ending, pack] of Object.entries(compressions)) await writeFile(`${file}.${ending}`, await pack(bytes))
}

/** @returns undefined where the packages for development are not installed */
async function loadVite(): Promise<typeof import('vite') | undefined> {
  try {
    return await import('vite')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined
    throw error
  }
}

async function build(vite: typeof import('vite'), sum: string): Promise<void> {
  await vite.build({
    configFile: join(import.meta.dirname, 'vite.config.ts'),
    configLoader: 'native',
    logLevel: 'warn',
    build: { outDir: building },
  })
  const files = globSync(join(building, '**'), { withFileTypes: true }).filter(
    (entry) => entry.isFile() && compressible.has(extname(entry.name)),
  )
  await Promise.all(files.map(({ parentPath, name }) => compress(join(parentPath, name))))
  await writeFile(join(building, sumFile), sum)
  await rm(dist, { recursive: true, force: true })
  await rename(building, dist)
}

async function main(): Promise<void> {
  const sum = sumOfSources()
  const built = join(dist, sumFile)
  if (existsSync(built) && readFileSync(built, 'utf8') === sum) return
  const begun = performance.now()
  const vite = await loadVite()
  if (vite) {
    await build(vite, sum)
    console.log(`The page was built in ${((performance.now() - begun) / 1000).toFixed(1)} s`)
  } else if (existsSync(join(dist, 'index.html'))) {
    console.log('The page may be of another version than the server: Vite, which builds it, is not installed.')
  } else {
    console.log('There is no page: Vite, which builds it, is not installed. The server runs without one.')
  }
}

await main()
