# Completion of fastsync for PowerShell, written by: fastsync completions powershell
Register-ArgumentCompleter -Native -CommandName @('fastsync', 'fastsyncd', 'fastsync-utils') -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    # Words before the cursor; each as PowerShell reads it where it is a plain or quoted text.
    $words = @()
    foreach ($element in $commandAst.CommandElements) {
        if ($element.Extent.StartOffset -ge $cursorPosition -and $element.Extent.StartOffset -gt 0) { break }
        if ($element.Extent.EndOffset -ge $cursorPosition -and $words.Count -gt 0) { break }
        if ($element -is [System.Management.Automation.Language.StringConstantExpressionAst]) {
            $words += $element.Value
        } else {
            $words += $element.Extent.Text
        }
    }
    if ($words.Count -eq 0) { return }
    $current = "$wordToComplete".Trim("'", '"')
    $program = $words[0]
    # An empty word would be lost on the way to the program before PowerShell 7.3: a space stands for it.
    $sent = if ($current -eq '') { ' ' } else { $current }
    $answer = @(& $program __complete powershell ' ' @words $sent 2>$null)
    if ($answer.Count -eq 0) { return }
    $rest = $answer[-1]
    foreach ($line in $answer | Select-Object -SkipLast 1) {
        $value, $about = $line -split "`t", 2
        if (-not $about) { $about = $value }
        $written = if ($value -match '[\s''"`$;&|(){}<>@#]') { "'" + $value.Replace("'", "''") + "'" } else { $value }
        [System.Management.Automation.CompletionResult]::new($written, $value, 'ParameterValue', $about)
    }
    if ($rest -eq ':files' -or $rest -eq ':directories') {
        $before = ''
        $path = $current
        if ($current -match '^(--[a-z0-9-]+=)(.*)$') {
            $before = $Matches[1]
            $path = $Matches[2]
        }
        foreach ($found in [System.Management.Automation.CompletionCompleters]::CompleteFilename($path)) {
            if ($rest -eq ':directories' -and $found.ResultType -ne 'ProviderContainer') { continue }
            [System.Management.Automation.CompletionResult]::new(
                $before + $found.CompletionText, $found.ListItemText, $found.ResultType, $found.ToolTip)
        }
    }
}
