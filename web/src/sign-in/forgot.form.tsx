import { useState } from 'preact/hooks'
import { t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { Field, Form } from '../ui/field.tsx'
import { Problem } from '../ui/problem.tsx'
import { useSending } from './sending.ts'

/** Has a link mailed by which one chooses a new password. */
export function ForgotForm({ onBack }: { onBack(): void }) {
  const [email, setEmail] = useState('')
  const [isSent, setSent] = useState(false)
  const { isBusy, problem, problems, send } = useSending()
  const ask = async () => {
    const asked = () => client.rest.request('POST', '/v1/auth/forgot-password', { email: email.trim() })
    if (await send(asked)) setSent(true)
  }
  return (
    <>
      <h2>{t('signIn:forgotTitle')}</h2>
      <div role="status">{isSent && <p class="enter-note">{t('signIn:forgotSent')}</p>}</div>
      {!isSent && (
        <Form label={t('signIn:forgotTitle')} onSend={ask}>
          <Field
            label={t('signIn:email')}
            type="email"
            name="email"
            autocomplete="email"
            value={email}
            onValue={setEmail}
            problem={problems.email}
            maxLength={254}
            isRequired
          />
          <Problem text={problem} />
          <Button kind="primary" type="submit" disabled={isBusy}>
            {t('signIn:forgotSend')}
          </Button>
        </Form>
      )}
      <button type="button" class="enter-link" onClick={onBack}>
        {t('signIn:backToSignIn')}
      </button>
    </>
  )
}
