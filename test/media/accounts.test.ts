import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import sharp from 'sharp'
import type { Attachment, Storage } from '../../src/media/media.contract.ts'
import { eventually } from '../faults/scene.ts'
import { ask, makeAgent, makeKey } from '../support/agents.ts'
import { unzip } from '../support/archive.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { startS3Server } from '../support/media.ts'
import { join as joinAs, type Person } from '../support/people.ts'
import { migratedFolder } from '../support/template.ts'

/** A whole server, with its media in a bucket. */
let s3: Awaited<ReturnType<typeof startS3Server>>
let folder: string
let server: Backend
before(async () => {
  s3 = await startS3Server()
  folder = await migratedFolder()
  const { bucket, endpoint, region, credentials } = s3.options
  server = await startBackend({
    ...{ DATA_DIR: folder, S3_BUCKET: bucket, S3_ENDPOINT: endpoint, S3_REGION: region, S3_FORCE_PATH_STYLE: 'on' },
    ...{ S3_ACCESS_KEY_ID: credentials.accessKeyId, S3_SECRET_ACCESS_KEY: credentials.secretAccessKey },
    ...{ MEDIA_MAX_FILE_MB: '1', MEDIA_MAX_VIDEO_MB: '1', MEDIA_MAX_AUDIO_MB: '1', MEDIA_MAX_IMAGE_MB: '1' },
  })
})
after(async () => {
  await server.end()
  await s3.close()
})

async function upload(bearer: string, content: Uint8Array | string, name: string, type = ''): Promise<Attachment> {
  const body = new FormData()
  body.append('file', new Blob([content as BlobPart], { type }), name)
  const headers = { authorization: `Bearer ${bearer}` }
  const response = await fetch(`${server.url}/v1/uploads`, { method: 'POST', headers, body })
  const answered = (await response.json()) as Attachment
  assert.equal(response.status, 201, JSON.stringify(answered))
  return answered
}

const tokenOf = ({ session }: Person): string => session.accessToken

const isThere = async ({ url }: Attachment): Promise<boolean> => (await fetch(new URL(url, server.url))).ok

test('an export has the uploads of its user, each under its id and a name that any disk takes', async () => {
  const [ann, ben] = [await joinAs(server.url, 'ann'), await joinAs(server.url, 'ben')]
  const words = await upload(tokenOf(ann), 'only words', 'räven: "x"? <1>.txt', 'text/plain')
  const dots = await upload(tokenOf(ann), 'more words', 'ends.with.dots...')
  await upload(tokenOf(ben), 'of another', 'ben.txt')
  const job = await eventuallyDone(ann)
  const headers = { authorization: `Bearer ${tokenOf(ann)}` }
  const file = await fetch(`${server.url}/v1/me/export/${job}/file`, { headers })
  const { texts, json } = await unzip(Buffer.from(await file.arrayBuffer()))
  const rows = json('media') as Attachment[]
  assert.deepEqual(
    rows.map(({ id, kind, mime, name, bytes }) => ({ id, kind, mime, name, bytes })),
    [words, dots].map(({ id, kind, mime, name, bytes }) => ({ id, kind, mime, name, bytes })),
  )
  const files = [...texts].filter(([name]) => name.startsWith('media/'))
  assert.deepEqual(files, [
    [`media/${words.id}-räven_ _x__ _1_.txt`, 'only words'],
    [`media/${dots.id}-ends.with.dots`, 'more words'],
  ])
  ann.close()
  ben.close()
})

async function eventuallyDone(person: Person): Promise<string> {
  let jobId = ''
  await eventually('the export is completed', async () => {
    const { status, body } = await ask<{ jobId: string }>(server.url, tokenOf(person), 'GET', '/me/export')
    jobId = body.jobId
    return status === 200
  })
  return jobId
}

test('a deleted account takes its uploads with it, from the bucket too', async () => {
  const before = await s3.keys()
  const ann = await joinAs(server.url, 'ann')
  const image = await sharp({ create: { width: 30, height: 30, channels: 3, background: 'teal' } })
    .png()
    .toBuffer()
  const attachments = [
    await upload(tokenOf(ann), image, 'x.png', 'image/png'),
    await upload(tokenOf(ann), 'words', 'x'),
  ]
  assert.equal((await s3.keys()).length, before.length + 3)
  for (const one of attachments) assert.ok(await isThere(one))
  const { status } = await ask(server.url, tokenOf(ann), 'DELETE', '/me', { password: 'correct horse' })
  assert.equal(status, 204)
  await eventually('the objects have gone', async () => (await s3.keys()).length === before.length)
  assert.deepEqual(await s3.keys(), before)
  for (const one of attachments) assert.equal(await isThere(one), false)
  ann.close()
})

test('an agent uploads by its key, for itself', async () => {
  const ann = await joinAs(server.url, 'ann')
  const agent = await makeAgent(server.url, ann)
  const { key } = await makeKey(server.url, ann, agent.id)
  const { id } = await upload(key, 'from an agent', 'x.txt')
  const statusFor = async (bearer: string) => (await ask(server.url, bearer, 'GET', `/attachments/${id}`)).status
  assert.deepEqual([await statusFor(key), await statusFor(tokenOf(ann))], [200, 404])
  const { body } = await ask<Storage>(server.url, tokenOf(ann), 'GET', '/me/storage')
  assert.equal(body.usedBytes, 0)
  assert.equal((await ask(server.url, key, 'DELETE', `/attachments/${id}`)).status, 204)
  ann.close()
})

test('uploads are counted for the operator, by kind and outcome', async () => {
  const text = await (await fetch(`${server.url}/metrics`)).text()
  const counted = /kintsugi_uploads_total\{kind="file",outcome="ok"\} (\d+)/.exec(text)?.[1]
  assert.ok(Number(counted) >= 5, text.match(/kintsugi_upload.*/g)?.join('\n'))
  assert.ok(Number(/kintsugi_upload_bytes_total (\d+)/.exec(text)?.[1]) > 0)
})

test('a client that sends far too much hears so, be it a browser’s or a command', async () => {
  const ann = await joinAs(server.url, 'ann')
  const authorization = `Bearer ${tokenOf(ann)}`
  const much = Buffer.alloc(30 * 1024 * 1024)
  const body = new FormData()
  body.append('file', new Blob([much]), 'much')
  const response = await fetch(`${server.url}/v1/uploads`, { method: 'POST', headers: { authorization }, body })
  assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [413, 'payload_too_large'])

  const file = join(folder, 'much')
  await writeFile(file, much)
  for (const more of [[], ['-H', 'Transfer-Encoding: chunked'], ['-H', 'Expect:']]) {
    const args = ['-s', '-H', `Authorization: ${authorization}`, '-F', `file=@${file}`, ...more]
    const curl = spawnSync('curl', [...args, `${server.url}/v1/uploads`], { encoding: 'utf8', timeout: 20_000 })
    if (curl.error && (curl.error as NodeJS.ErrnoException).code === 'ENOENT') break
    assert.equal(JSON.parse(curl.stdout || '{}').code, 'payload_too_large', `${more}: ${curl.status} ${curl.stderr}`)
  }
  ann.close()
})
