import { useEffect, useState } from 'preact/hooks'
import { t } from '../i18n.ts'
import { followLink } from '../router.ts'
import { client, me, reloadMe } from '../state/session.ts'
import { say } from '../state/toasts.ts'
import { Button } from '../ui/button.tsx'
import { Field, Form } from '../ui/field.tsx'
import { Problem } from '../ui/problem.tsx'
import { useSending } from './sending.ts'

const codePattern = /^\d{6}$/

/** Confirms the own address by the code of a mail: at once where the link had it, else as it is typed in. */
export function VerifyEmail({ given }: { given: string }) {
  const [code, setCode] = useState(given)
  const { isBusy, problem, send } = useSending({
    invalid_request: 'signIn:codeBad',
    unprocessable: 'signIn:codeBad',
    gone: 'signIn:codeGone',
  })
  const verify = () =>
    send(async () => {
      await client.rest.request('POST', '/v1/auth/verify-email', { code: code.trim() })
      await reloadMe()
    })
  useEffect(() => {
    if (codePattern.test(given)) void verify()
  }, [given])
  const resend = async () => {
    await client.rest.request('POST', '/v1/auth/verify-email/resend', {})
    say(t('signIn:codeSent'))
  }
  const isDone = me.value?.emailVerified === true
  return (
    <>
      <h2>{t('signIn:verifyTitle')}</h2>
      <div role="status">{isDone && <p class="enter-note">{t('signIn:verified')}</p>}</div>
      {!isDone && (
        <Form label={t('signIn:verifyTitle')} onSend={verify}>
          <Field
            label={t('signIn:code')}
            name="code"
            autocomplete="one-time-code"
            value={code}
            onValue={setCode}
            hint={t('signIn:codeHint')}
            maxLength={20}
            isRequired
          />
          <Problem text={problem} />
          <Button kind="primary" type="submit" disabled={isBusy}>
            {t('signIn:verify')}
          </Button>
          <Button onPress={resend}>{t('signIn:resend')}</Button>
        </Form>
      )}
      <a href="/" onClick={followLink}>
        {t('common:home')}
      </a>
    </>
  )
}
