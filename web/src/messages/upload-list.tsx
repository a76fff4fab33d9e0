import { File as FileIcon, RotateCw, X } from 'lucide'
import { useEffect, useState } from 'preact/hooks'
import { formatBytes, t } from '../i18n.ts'
import { IconButton } from '../ui/button.tsx'
import { Icon } from '../ui/icon.tsx'
import type { Upload, Uploads } from './uploads.ts'

/** The files that go with the next message, and how far they are. */
export function UploadList({ uploads }: { uploads: Uploads }) {
  if (uploads.list.value.length === 0) return null
  return (
    <ul class="uploads" aria-label={t('messages:attachments')}>
      {uploads.list.value.map((upload) => (
        <UploadItem key={upload.id} upload={upload} uploads={uploads} />
      ))}
    </ul>
  )
}

function UploadItem({ upload, uploads }: { upload: Upload; uploads: Uploads }) {
  const { id, file, progress, attachment, problem } = upload
  return (
    <li class={problem ? 'upload upload-failed' : 'upload'}>
      <Thumbnail file={file} />
      <div class="upload-text">
        <span class="upload-name" dir="auto">
          {file.name}
        </span>
        {problem ? (
          <span class="upload-problem" role="alert">
            {problem}
          </span>
        ) : (
          <span class="quiet">{formatBytes(file.size)}</span>
        )}
        {!attachment && !problem && (
          <progress class="upload-progress" max={1} value={progress} aria-label={t('messages:uploading')} />
        )}
      </div>
      {problem && <IconButton icon={RotateCw} size={16} label={t('common:retry')} onPress={() => uploads.retry(id)} />}
      <IconButton
        icon={X}
        size={16}
        label={t('messages:removeFile', { name: file.name })}
        onPress={() => uploads.remove(id)}
      />
    </li>
  )
}

function Thumbnail({ file }: { file: File }) {
  const [address, setAddress] = useState<string>()
  useEffect(() => {
    if (!file.type.startsWith('image/')) return
    const made = URL.createObjectURL(file)
    setAddress(made)
    return () => URL.revokeObjectURL(made)
  }, [file])
  return (
    <span class="upload-thumbnail">
      {address ? <img src={address} alt="" onError={() => setAddress(undefined)} /> : <Icon of={FileIcon} />}
    </span>
  )
}
