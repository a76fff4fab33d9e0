import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import type { Attachment } from '../../src/media/media.contract.ts'
import { type Backend, startBackend } from './backend.ts'

type File = { bytes: Buffer; name: string; type: string }

/** Files of which no two have the same bytes, by kind. */
export const files = {
  async image(): Promise<File> {
    const raw = { width: 8, height: 6, channels: 3 } as const
    const bytes = await sharp(randomBytes(8 * 6 * 3), { raw })
      .png()
      .toBuffer()
    return { bytes, name: 'noise.png', type: 'image/png' }
  },
  async audio(): Promise<File> {
    const samples = randomBytes(64)
    const header = Buffer.alloc(44)
    header.write('RIFF', 0)
    header.writeUInt32LE(36 + samples.length, 4)
    header.write('WAVEfmt ', 8)
    header.writeUInt32LE(16, 16)
    // PCM, one channel, 8000 samples of 16 bits a second
    header.writeUInt16LE(1, 20)
    header.writeUInt16LE(1, 22)
    header.writeUInt32LE(8_000, 24)
    header.writeUInt32LE(16_000, 28)
    header.writeUInt16LE(2, 32)
    header.writeUInt16LE(16, 34)
    header.write('data', 36)
    header.writeUInt32LE(samples.length, 40)
    return { bytes: Buffer.concat([header, samples]), name: 'noise.wav', type: 'audio/wav' }
  },
  async file(): Promise<File> {
    return { bytes: Buffer.from(randomBytes(40).toString('hex')), name: 'notes.txt', type: 'text/plain' }
  },
}

/** Uploads a file, as a browser's form does. */
export async function upload(url: string, token: string, kind: keyof typeof files = 'image'): Promise<Attachment> {
  const { bytes, name, type } = await files[kind]()
  const form = new FormData()
  form.append('file', new Blob([new Uint8Array(bytes)], { type }), name)
  const headers = { authorization: `Bearer ${token}` }
  const response = await fetch(`${url}/v1/uploads`, { method: 'POST', headers, body: form })
  const body = (await response.json()) as Attachment
  assert.equal(response.status, 201, JSON.stringify(body))
  assert.equal(body.kind, kind)
  return body
}

/** Whether the address that the server has given brings the bytes. */
export async function isServed(url: string, address: string | undefined): Promise<boolean> {
  const response = await fetch(new URL(address ?? 'nothing', url))
  await response.arrayBuffer()
  return response.ok
}

/** A server whose files the test can look at, in its data folder. */
export async function startWithFiles(): Promise<Backend & { dataDir: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'kintsugi-files-'))
  const server = await startBackend({ DATA_DIR: dataDir })
  return {
    ...server,
    dataDir,
    async end() {
      await server.end()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** What is kept on the disk of a server with that data folder. */
export async function objectsIn(dataDir: string): Promise<string[]> {
  const entries = await readdir(join(dataDir, 'media'), { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}
