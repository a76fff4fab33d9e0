/**
 * The smallest Socket.IO server: no validation, no storage, one emit per message. It stands for the limit of the
 * transport. Started by the bench with PORT in its environment; any HTTP request is answered 200, as a sign of life.
 */
import { createServer } from 'node:http'
import { Server } from 'socket.io'

const http = createServer((_request, response) => response.end())
const io = new Server(http, { transports: ['websocket'], serveClient: false, perMessageDeflate: false })

io.on('connection', (socket) => {
  socket.on('join', (room, ack) => {
    socket.join(room)
    ack({ ok: true })
  })
  socket.on('send', (message, ack) => {
    socket.to(message.room).emit('message', message)
    ack({ ok: true })
  })
})

http.listen(Number(process.env.PORT), '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
