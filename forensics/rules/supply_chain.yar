/* What comes with a package that was taken over. Own rules, Apache-2.0. */

rule install_hook_fetches_code
{
    meta:
        title = "Install hook of a package that fetches and runs code"
        severity = "high"
        confidence = "high"
        attack = "T1195.001, T1105, T1059"
        why = "The package manager runs such a hook as whoever builds; what it fetches is in no lock file and in no review."
        benign = "Packages that fetch a prebuilt binary do it with a program of their own, and do not pipe it into an interpreter."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $hook = /"(pre|post)?install"\s*:\s*"[^"\n]{0,300}(curl|wget)\s[^"\n]{0,300}(\|\s*(sudo\s+)?(ba|da|z|a|k|)sh|\|\s*(node|python[23]?|perl|ruby)|&&\s*(\.\/|(ba|da|z|a|k|)sh\s|chmod\s))/
        $inline = /"(pre|post)?install"\s*:\s*"[^"\n]{0,40}node\s+-e\s[^\n]{0,400}(child_process|https?:\/\/|Buffer\.from\([^)\n]{20})/
        $encoded = /"(pre|post)?install"\s*:\s*"[^"\n]{0,200}base64\s+(-d|--decode|-D)[^"\n]{0,100}\|\s*(ba|da|z|a|k|)sh/
    condition:
        filesize < 512KB and any of them
}
