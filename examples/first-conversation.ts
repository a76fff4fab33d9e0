import { createClient } from '../src/client/index.ts'

const url = process.argv[2] ?? 'http://localhost:3000'
const password = 'correct horse battery'
const [ann, ben] = [createClient({ url }), createClient({ url })]
await ann.login({ username: 'ann', password })
const { user } = await ben.login({ username: 'ben', password })
await Promise.all([ann.connect(), ben.connect()])

const heard = new Promise((resolve) => ben.on('messages:created', resolve))
const { id } = await ann.command('conversation:create', { type: 'direct', participantIds: [user.id] })
const { seq } = await ann.send(id, 'Are you there?').acknowledged
await heard
const texts = ben.store.get(id)?.messages.map(({ content }) => content)
console.log(`Stored as message ${seq}. Ben has:`, texts)
await Promise.all([ann.close(), ben.close()])
