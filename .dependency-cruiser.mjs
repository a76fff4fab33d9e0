/**
 * The directions of imports, as docs/architecture.md states them. `npm run structure` fails on an arrow that is not
 * allowed, on a circle and on an import that leads nowhere. With `LAYER=client` it looks at the built client package
 * instead: there types are gone, so what is left is what a browser would load. The page's directions are in biome.json:
 * the parser used here reads no JSX.
 */

/** Each feature may know those before it, never those after. */
const features = ['identity', 'billing', 'media', 'messenger', 'stories', 'agents', 'support', 'admin']
const anyFeature = `^src/(${features.join('|')})/`

/** Matches a package whether it is installed or not, and its types. */
const packages = (...names) => `(^|node_modules/)(@types/)?(${names.join('|')})(/|$)`
const transports = packages('express', 'socket\\.io', 'passport[^/]*', 'helmet', 'cors')
const vendors = packages(
  'ioredis',
  '@socket\\.io/redis-adapter',
  'openai',
  'openid-client',
  'pg-boss',
  'stripe',
  'nodemailer',
  '@aws-sdk',
)

const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to })

const source = [
  forbid('no-circles', 'Two files that need each other are one idea, or hide a third.', {}, { circular: true }),
  forbid('no-dead-ends', 'An import leads to a file or a declared package.', {}, { couldNotResolve: true }),
  forbid(
    'declared-packages-only',
    'The server runs on the packages of `dependencies`.',
    { path: '^src/' },
    { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], pathNot: packages('@types/[^/]+') },
  ),
  forbid(
    'server-knows-no-tests',
    'The server knows nothing of what tests or measures it.',
    { path: '^src/' },
    { path: '^(test|bench)/' },
  ),
  forbid(
    'kernel-at-the-bottom',
    'The kernel is the language of all others and knows none of them.',
    { path: '^src/kernel/' },
    { path: '^src/(?!kernel/)' },
  ),
  forbid(
    'contracts-are-plain',
    'Clients import contracts: only zod, the primitives and other contracts may come with them.',
    { path: '\\.contract\\.ts$' },
    { pathNot: ['\\.contract\\.ts$', '^src/kernel/primitives\\.ts$', packages('zod')] },
  ),
  ...features.map((feature, place) =>
    forbid(
      `${feature}-looks-left`,
      `News for later features travel as domain events. Order: ${features.join(' < ')}.`,
      { path: `^src/${feature}/` },
      { path: `^src/(${features.slice(place + 1).join('|') || '(?!)'})/` },
    ),
  ),
  forbid(
    'features-by-their-face',
    'Of another feature one sees index.ts, the contract and, to own a relation, the entities.',
    { path: '^src/([^/]+)/', pathNot: '^src/(database|client)/' },
    { path: anyFeature, pathNot: ['^src/$1/', '/index\\.ts$', '\\.contract\\.ts$', '\\.entity\\.ts$'] },
  ),
  forbid(
    'features-below-the-house',
    'A feature stands on kernel and database; features.ts gives it the rest.',
    { path: anyFeature },
    { path: '^src/(adapters|transport|client)/|^src/[^/]+\\.ts$' },
  ),
  forbid(
    'features-speak-no-transport',
    'Operations are declared once; transport/ mounts them on Express and Socket.IO, adapters/ hold the vendors. Only ' +
      'strategies of passport are middleware by nature.',
    { path: anyFeature, pathNot: '\\.strategy\\.ts$' },
    { path: [transports, vendors] },
  ),
  forbid(
    'entities-stay-flat',
    'An entity knows the ORM, the base entity and entities to the left.',
    { path: '\\.entity\\.ts$' },
    { path: '^src/', pathNot: ['\\.entity\\.ts$', '^src/kernel/'] },
  ),
  forbid(
    'rules-are-pure',
    'Policies and presenters are pure functions: no database, no service.',
    { path: '\\.(policy|presenter)\\.ts$' },
    { path: ['^src/database/(?!.*\\.entity\\.ts$)', '\\.service\\.ts$'] },
  ),
  forbid(
    'transport-knows-no-feature',
    'Transport mounts operations; whose they are is not its business.',
    { path: '^src/transport/' },
    { path: '^src/(?!transport/|kernel/|database/|config\\.ts$)' },
  ),
  forbid(
    'adapters-are-leaves',
    'An adapter turns one vendor into a port of the kernel.',
    { path: '^src/adapters/' },
    { path: '^src/(?!adapters/|kernel/)' },
  ),
  forbid(
    'database-sees-entities',
    'The unit of work knows which tables there are, and nothing of what is done with them.',
    { path: '^src/database/' },
    { path: '^src/(?!database/|kernel/|config\\.ts$)', pathNot: '\\.entity\\.ts$' },
  ),
  forbid(
    'client-sees-contracts',
    'The client package shares shapes with the server, and no code.',
    { path: '^src/client/' },
    { path: '^src/(?!client/)', pathNot: ['\\.contract\\.ts$', '^src/kernel/(errors|primitives)\\.ts$'] },
  ),
  forbid(
    'client-runs-in-browsers',
    'Nothing of Node may be needed at run time.',
    { path: '^src/client/' },
    { dependencyTypes: ['core'] },
  ),
  forbid(
    'client-is-for-clients',
    'The server does not call itself.',
    { path: '^src/(?!client/)' },
    { path: '^src/client/' },
  ),
  forbid(
    'one-composition-root',
    'app.ts and features.ts put the parts together; only main.ts starts it, and create-admin.ts uses it without a port.',
    { path: '^src/', pathNot: '^src/(app|main|create-admin)\\.ts$' },
    { path: '^src/(app|features|main|create-admin)\\.ts$' },
  ),
]

const builtClient = [
  forbid(
    'client-takes-types-only',
    'At run time the client package is its own files and socket.io-client; contracts are imported as types.',
    { path: '^dist/client/' },
    { pathNot: ['^dist/client/', packages('socket\\.io-client')] },
  ),
]

export default {
  forbidden: process.env.LAYER === 'client' ? builtClient : source,
  options: {
    // TypeScript 7 has no compiler API that dependency-cruiser could call
    parser: 'swc',
    tsPreCompilationDeps: true,
    exclude: { path: '^dist/.*\\.d\\.ts$' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.d.ts'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
}
