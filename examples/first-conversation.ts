import { createClient } from '../src/client/index.ts'

const url = process.argv[2] ?? 'http://localhost:3000'
const [ann, ben] = [createClient({ url }), createClient({ url })]
const name = (who: string) => `${who}-${Date.now()}`
const account = (username: string) => ({ username, email: `${username}@example.org`, password: 'correct horse battery' })

await ann.register(account(name('ann')))
const { user } = await ben.register(account(name('ben')))
await Promise.all([ann.connect(), ben.connect()])

ben.on('messages:created', ({ messages }) => console.log('ben hears:', messages.map((m) => m.content).join()))
const { id } = await ann.command('conversation:create', { type: 'direct', participantIds: [user.id] })
const { seq } = await ann.send(id, 'Hello Ben').acknowledged
console.log('stored as message', seq)

await ben.synced()
console.log('ben has:', ben.store.get(id)?.messages.map((m) => m.content))
await Promise.all([ann.close(), ben.close()])
