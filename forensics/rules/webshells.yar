/*
  Scripts below a web server that run commands for whoever asks. Each rule names a behaviour: request data reaches an
  execution function. Own rules, Apache-2.0.
*/

rule webshell_php_request_to_execution
{
    meta:
        title = "PHP script passes request data to a command or to eval"
        severity = "critical"
        confidence = "high"
        attack = "T1505.003"
        why = "What comes in a request is executed: a web shell."
        benign = "Deliberately vulnerable teaching applications."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $php = /<\?(php|=)/ nocase
        $direct = /\b(eval|assert|system|exec|shell_exec|passthru|popen|proc_open|pcntl_exec|create_function)\s*\(\s*["'@]?\s*(\w{1,20}\s*\(\s*){0,4}@?\s*["'.{]{0,3}\$(_(GET|POST|REQUEST|COOKIE|SERVER|FILES)|HTTP_RAW_POST_DATA|GLOBALS)\b/ nocase
        $backtick = /`[^`\n]{0,40}\$_(GET|POST|REQUEST|COOKIE)\b[^`\n]{0,60}`/ nocase
        $variable_function = /\$_(GET|POST|REQUEST|COOKIE)\s*\[[^\]]{1,40}\]\s*\(\s*@?\$_(GET|POST|REQUEST|COOKIE)/ nocase
        $include = /\b(include|require)(_once)?\s*\(?\s*@?["'.]{0,2}\$_(GET|POST|REQUEST|COOKIE)\s*\[/ nocase
        $input = /\b(eval|assert|system|shell_exec|passthru)\s*\(\s*(\w{1,20}\s*\(\s*){0,4}file_get_contents\s*\(\s*["']php:\/\/input/ nocase
        $callback = /\b(array_map|array_filter|call_user_func(_array)?|u[ak]?sort|array_walk(_recursive)?|array_reduce|iterator_apply|ob_start|register_shutdown_function|register_tick_function|set_error_handler|preg_replace_callback)\s*\([^;\n]{0,60}\$_(GET|POST|REQUEST|COOKIE)/ nocase
        $preg_e = /preg_replace\s*\(\s*["'](.)[^"'\n]{0,80}\/[imsxADSUXJu]{0,6}e[imsxADSUXJu]{0,6}["']\s*,\s*[^,\n]{0,60}\$_(GET|POST|REQUEST|COOKIE)/ nocase
    condition:
        filesize < 2MB and $php and any of ($direct, $backtick, $variable_function, $include, $input, $callback, $preg_e)
}

rule webshell_php_indirect
{
    meta:
        title = "PHP script keeps request data in a variable and executes it"
        severity = "high"
        confidence = "medium"
        attack = "T1505.003"
        why = "A short script that reads a request and calls an execution function on a variable is a web shell."
        benign = "Administration panels that run fixed tools with checked arguments."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $php = /<\?(php|=)/ nocase
        $assign = /\$\w{1,40}\s*=\s*(\w{1,30}\s*\(\s*){0,4}@?\(?\s*(isset\s*\(\s*)?\$_(GET|POST|REQUEST|COOKIE|SERVER)\s*\[/ nocase
        $execute = /[^\w>:](system|shell_exec|passthru|popen|proc_open|pcntl_exec|eval|assert)\s*\(\s*@?["']?\s*(\w{1,30}\s*\(\s*){0,3}\$\w{1,40}/ nocase
        $function_var = /\$\w{1,40}\s*\(\s*@?\$_(GET|POST|REQUEST|COOKIE)\s*\[/ nocase
        $hidden_name = /["'](s["'.\s]{3,5}y?["'.\s]{0,5}s?["'.\s]{0,5}tem|a["'.\s]{3,6}ssert|ass["'.\s]{3,6}ert|sys["'.\s]{3,6}tem|base["'.\s]{3,6}64_decode|ev["'.\s]{3,6}al)["']/ nocase
    condition:
        filesize < 64KB and $php and (($assign and $execute) or $function_var or $hidden_name)
}

rule webshell_php_decoded_code
{
    meta:
        title = "PHP script decodes its own code and executes it"
        severity = "high"
        confidence = "high"
        attack = "T1505.003, T1027"
        why = "Code that is unpacked at run time hides from readers and scanners."
        benign = "Commercially encoded PHP applications (use of their own loader, not of eval)."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $php = /<\?(php|=)/ nocase
        $chain = /\b(eval|assert|create_function|preg_replace)\s*\(\s*(["'][^"'\n]{0,40}["']\s*,\s*)?@?(gzinflate|gzuncompress|gzdecode|base64_decode|str_rot13|strrev|hex2bin|convert_uudecode|rawurldecode|pack)\s*\(/ nocase
        $numeric = /(chr\s*\(\s*\d{1,3}\s*\)\s*\.\s*){6,}/ nocase
        $eval = /\beval\s*\(/ nocase
        $hex_names = /\$\{"(\\x[0-9a-f]{2}){4,}/ nocase
    condition:
        filesize < 5MB and $php and ($chain or ($eval and ($numeric or $hex_names)))
}

rule webshell_jsp_request_to_execution
{
    meta:
        title = "JSP page runs commands or loads classes from a request"
        severity = "critical"
        confidence = "high"
        attack = "T1505.003"
        why = "A page that starts programs or defines classes from request data is a web shell."
        benign = "None known."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $jsp = /<%[@!=\s]|<jsp:/
        $parameter = /request\s*\.\s*(getParameter|getHeader|getInputStream|getReader|getQueryString)\s*\(/
        $runtime = /getRuntime\s*\(\s*\)\s*\.\s*exec\s*\(/
        $builder = /new\s+(java\.lang\.)?ProcessBuilder\s*\(/
        $define = /\bdefineClass\s*\(/
        $expression = /(ScriptEngineManager|ExpressionFactory|javax\.el\.ELProcessor)[\s\S]{0,200}eval\s*\(/
    condition:
        filesize < 512KB and $jsp and $parameter and any of ($runtime, $builder, $define, $expression)
}

rule webshell_aspx_request_to_execution
{
    meta:
        title = "ASP page executes request data"
        severity = "critical"
        confidence = "high"
        attack = "T1505.003"
        why = "A page that evaluates a request or starts programs from it is a web shell."
        benign = "None known."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $asp = /<%[@=\s]|<script[^>]{1,60}runat/ nocase
        $eval = /\b(eval|execute|executeglobal)\s*\(?\s*\(?request\s*[.(\[]/ nocase
        $start = /(Process\.Start|ProcessStartInfo|WScript\.Shell|Shell\.Application)/ nocase
        $request = /Request(\.(Form|QueryString|Item|Params|Cookies|Headers))?\s*[\[(]\s*"/ nocase
    condition:
        filesize < 512KB and $asp and ($eval or ($start and $request))
}

rule webshell_script_cgi
{
    meta:
        title = "CGI script executes its query string"
        severity = "critical"
        confidence = "medium"
        attack = "T1505.003, T1059.004"
        why = "What stands in the address is run as a command."
        benign = "None known."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $header = /Content-[Tt]ype:/
        $shell = /\b(eval|sh\s+-c|bash\s+-c)\s+["'$({`]{0,4}[^\n]{0,60}(QUERY_STRING|HTTP_[A-Z_]{2,20})\b/
        $shell_variable = /=\s*["'$({`]{0,4}[^\n]{0,60}\bQUERY_STRING\b[^\n]{0,120}\n([^\n]{0,200}\n){0,6}[^\n]{0,40}\b(eval|sh\s+-c|bash\s+-c)\s+["']?\$/
        $perl = /(system|exec|open|qx)\s*\(?[^\n]{0,40}(\$ENV\{\s*["']?QUERY_STRING|->param\s*\()/
        $python = /(os\.(system|popen)|subprocess\.\w{3,15})\s*\([^\n]{0,80}(getvalue\s*\(|QUERY_STRING|parse_qs)/
    condition:
        filesize < 256KB and (($header and any of ($shell, $shell_variable, $perl)) or $python)
}

rule webshell_framework_route_to_execution
{
    meta:
        title = "Web application route executes request data"
        severity = "high"
        confidence = "medium"
        attack = "T1505.003, T1059"
        why = "A handler that hands a request parameter to the shell or to eval is a back door."
        benign = "Teaching applications; developer consoles."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $python = /(os\.(system|popen)|subprocess\.(run|call|Popen|check_output|getoutput)|\beval|\bexec)\s*\(\s*(request\.(args|form|values|json|data|headers|GET|POST|cookies|get_json)|flask\.request)/
        $node = /(child_process["')]{0,3}\s*\)?\s*\.\s*)?(exec|execSync|spawn|eval)\s*\(\s*(req|request|ctx)\.(query|body|params|headers|url)/
        $node_require = /require\s*\(\s*["']child_process["']\s*\)/
        $node_url = /(exec|execSync|spawn)\s*\([^\n]{0,60}(url\.parse\s*\(|new\s+URL\s*\(|searchParams|\.query\b)/
        $ruby = /(`#\{params\[|system\s*\(?\s*params\[|eval\s*\(?\s*params\[)/
    condition:
        filesize < 512KB and ($python or $node or ($node_require and $node_url) or $ruby)
}

rule webshell_framework_variable_to_execution
{
    meta:
        title = "Web application keeps request data in a variable and executes it"
        severity = "high"
        confidence = "medium"
        attack = "T1505.003, T1059"
        why = "A short handler takes a parameter of the request and hands the variable to the shell or to eval."
        benign = "Administration panels and build servers that run fixed tools with checked arguments."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $python = /\b(\w{1,20})\s*=\s*(flask\.)?request\.(args|form|values|json|data|headers|GET|POST|cookies|get_json|get_data|query_params)\b[^\n]{0,80}\n([^\n]{0,160}\n){0,6}[^\n]{0,80}\b(os\.(system|popen)|subprocess\.(run|call|Popen|check_output|getoutput|getstatusoutput)|eval|exec)\s*\(\s*f?["']?\{?\w{1,20}\b/
        $node = /(const|let|var)\s+\{?\s*\w{1,20}\s*\}?\s*=\s*(req|request|ctx(\.request)?)\.(query|body|params|headers|get)\b[^\n]{0,200}[\n;]([^\n]{0,160}[\n;]){0,6}[^\n]{0,80}\b(exec|execSync|spawn|spawnSync|eval|Function)\s*\(\s*[`"']?(\$\{)?\w{1,20}\b/
        $node_process = /require\s*\(\s*["'](node:)?child_process["']\s*\)|from\s+["'](node:)?child_process["']|\beval\s*\(/
        $ruby = /\b\w{1,20}\s*=\s*params\[[^\]]{1,30}\][^\n]{0,80}\n([^\n]{0,160}\n){0,4}[^\n]{0,60}(`[^`\n]{0,40}#\{\w{1,20}\}|\b(system|exec|eval|IO\.popen)\s*\(?\s*\w{1,20})/
        $go = /\.(FormValue|PostFormValue|Query\(\)\.Get|Header\.Get)\([^)\n]{1,40}\)[^\n]{0,80}\n?([^\n]{0,120}\n){0,4}[^\n]{0,60}exec\.Command\(\s*"(\/bin\/)?(ba)?sh"\s*,\s*"-c"/
    condition:
        filesize < 128KB and uint32(0) != 0x464c457f and ($python or ($node and $node_process) or $ruby or $go)
}
